//! Attention along links.

use nac_core::Csr;
use nac_engine::training::attention::{EdgeGraph, Links};
use nac_engine::training::{Compute, Skmdpa, SkmdpaGradients, SkmdpaOperands, SkmdpaShape, States};

use crate::compare::*;
use crate::reference::{Tensors, attend, close, norm, normal, padding, project, row};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linked {
    No,
    Shared,
    PerExample,
    Edges,
    EdgesPerExample,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The receivers, through one norm.
    Own,
    /// The receivers, through another norm.
    OwnNorm,
    /// Others.
    Others,
    /// Others, through the receivers' norm.
    OthersSameNorm,
}

struct Block {
    shape: SkmdpaShape,
    from: From,
    shared: bool,
    scaled: [Scaled; 4],
    linked: Linked,
    mask: Option<Vec<bool>>,
    keep: Option<Vec<f32>>,
}

impl Block {
    /// Whether a pair is linked; the first receiver is not linked to anybody.
    fn linked(&self, pair: usize) -> bool {
        let SkmdpaShape {
            receivers, senders, ..
        } = self.shape;
        let pair = pair % (receivers * senders);
        pair / senders > 0 && !pair.is_multiple_of(3)
    }

    fn pairs(&self) -> usize {
        self.shape.receivers * self.shape.senders
    }

    fn graph(&self) -> EdgeGraph {
        let SkmdpaShape {
            receivers, senders, ..
        } = self.shape;
        let dense = ndarray::Array2::from_shape_fn((receivers, senders), |(i, j)| {
            f64::from(u8::from(self.linked(i * senders + j)))
        });
        EdgeGraph::new(&Csr::from_dense(dense.view()).unwrap()).unwrap()
    }

    /// The logarithm of a link of an example.
    fn log(&self, t: &Tensors, example: usize, pair: usize) -> f64 {
        let batch = self.shape.batch;
        match self.linked {
            Linked::No => 0.0,
            Linked::Shared => t["links"][pair],
            Linked::PerExample => t["links"][example * self.pairs() + pair],
            Linked::Edges | Linked::EdgesPerExample => {
                if !self.linked(pair) {
                    return f64::NEG_INFINITY;
                }
                let edge = (0..pair).filter(|pair| self.linked(*pair)).count();
                let edges = (0..self.pairs()).filter(|pair| self.linked(*pair)).count();
                let examples = t["links"].len() / edges;
                t["links"][if examples == batch {
                    example * edges + edge
                } else {
                    edge
                }]
            }
        }
    }
}

impl Case for Block {
    fn tensors(&self) -> Tensors {
        let SkmdpaShape {
            batch,
            receivers,
            senders,
            state,
            sender_state,
            ..
        } = self.shape;
        let mut all = Tensors::new();
        let examples = if self.shared { 1 } else { batch };
        all.insert(
            "receivers".to_owned(),
            normal("receivers", examples * receivers * state),
        );
        add_norm(&mut all, "receiver_norm", state);
        if matches!(self.from, From::Others | From::OthersSameNorm) {
            all.insert(
                "senders".to_owned(),
                normal("senders", batch * senders * sender_state),
            );
        }
        if matches!(self.from, From::Others | From::OwnNorm) {
            add_norm(&mut all, "sender_norm", sender_state);
        }
        let inner = self.shape.inner();
        let projections = [
            ("query", (inner, state), receivers),
            ("key", (inner, sender_state), senders),
            ("value", (inner, sender_state), senders),
            ("exit", (state, inner), receivers),
        ];
        for ((name, widths, modules), scaled) in projections.into_iter().zip(self.scaled) {
            add_projection(
                &mut all,
                name,
                widths,
                (scaled, batch, modules),
                name != "key",
            );
        }
        let log = |count: usize, cut: bool| {
            let values = normal("links", count).into_iter().enumerate();
            let values = values.map(|(pair, x)| {
                if cut && !self.linked(pair) {
                    f64::NEG_INFINITY
                } else {
                    -x.abs() * 2.0
                }
            });
            values.collect::<Vec<f64>>()
        };
        let edges = (0..self.pairs()).filter(|pair| self.linked(*pair)).count();
        let links = match self.linked {
            Linked::No => return all,
            Linked::Shared => log(self.pairs(), true),
            Linked::PerExample => log(batch * self.pairs(), true),
            Linked::Edges => log(edges, false),
            Linked::EdgesPerExample => log(batch * edges, false),
        };
        all.insert("links".to_owned(), links);
        all
    }

    fn reference(&self, t: &Tensors) -> Vec<f64> {
        let SkmdpaShape {
            batch,
            receivers,
            senders,
            state,
            sender_state,
            heads,
            ..
        } = self.shape;
        let sent = t.get("senders").unwrap_or(&t["receivers"]);
        let sender_norm = if t.contains_key("sender_norm.gain") {
            "sender_norm"
        } else {
            "receiver_norm"
        };
        let mut y = Vec::new();
        for b in 0..batch {
            let send = |name: &str| -> Vec<Vec<f64>> {
                let rows = (0..senders).map(|j| b * senders + j);
                rows.map(|r| {
                    project(
                        t,
                        name,
                        &norm(t, sender_norm, row(sent, sender_state, r)),
                        r,
                    )
                })
                .collect()
            };
            let (keys, values) = (send("key"), send("value"));
            let padding = padding(self.mask.as_deref(), senders, b);
            for i in 0..receivers {
                let r = b * receivers + i;
                let x = row(&t["receivers"], state, r);
                let query = project(t, "query", &norm(t, "receiver_norm", x), r);
                let log = |j| self.log(t, b, i * senders + j);
                let added: Vec<f64> = (0..senders).map(|j| log(j) + padding[j]).collect();
                let message = attend(&query, (&keys, &values), &added, heads);
                let branch = project(t, "exit", &message, r);
                let keep = self.keep.as_ref().map_or(1.0, |keep| f64::from(keep[b]));
                y.extend(close(self.shape.residual.then_some(x), keep, &branch));
            }
        }
        y
    }

    fn engine(&self, compute: &Compute, tensors: &Singles, d_y: &[f32]) -> (Vec<f32>, Singles) {
        let graph = self.graph();
        let log = tensors.get("links").map_or(&[][..], Vec::as_slice);
        let senders = tensors.get("senders").map(|values| States {
            values,
            shared: false,
        });
        let has_norm = tensors.contains_key("sender_norm.gain");
        let operands = SkmdpaOperands {
            receivers: States {
                values: &tensors["receivers"],
                shared: self.shared,
            },
            senders,
            receiver_norm: norm_operand(tensors, "receiver_norm"),
            sender_norm: has_norm.then(|| norm_operand(tensors, "sender_norm")),
            query: projection_operand(tensors, "query"),
            key: projection_operand(tensors, "key"),
            value: projection_operand(tensors, "value"),
            exit: projection_operand(tensors, "exit"),
            links: match self.linked {
                Linked::No => Links::None,
                Linked::Shared => Links::Shared(log),
                Linked::PerExample => Links::PerExample(log),
                Linked::Edges | Linked::EdgesPerExample => Links::Edges { graph: &graph, log },
            },
            mask: self.mask.as_deref(),
            keep: self.keep.as_deref(),
        };
        let mut block = Skmdpa::new(self.shape).unwrap();
        let mut y = vec![f32::NAN; d_y.len()];
        let mut memory = Memory::new(tensors);
        let [
            receivers,
            senders,
            links,
            g1,
            b1,
            g2,
            b2,
            wq,
            bq,
            sq,
            wk,
            bk,
            sk,
            wv,
            bv,
            sv,
            we,
            be,
            se,
        ] = memory.slices([
            "receivers",
            "senders",
            "links",
            "receiver_norm.gain",
            "receiver_norm.bias",
            "sender_norm.gain",
            "sender_norm.bias",
            "query.weight",
            "query.bias",
            "query.scale",
            "key.weight",
            "key.bias",
            "key.scale",
            "value.weight",
            "value.bias",
            "value.scale",
            "exit.weight",
            "exit.bias",
            "exit.scale",
        ]);
        let mut gradients = SkmdpaGradients {
            receivers,
            senders,
            receiver_norm: norm_gradient([g1, b1]),
            sender_norm: has_norm.then(|| norm_gradient([g2, b2])),
            query: projection_gradient([wq, bq, sq]),
            key: projection_gradient([wk, bk, sk]),
            value: projection_gradient([wv, bv, sv]),
            exit: projection_gradient([we, be, se]),
            links,
        };
        for _ in 0..2 {
            block.forward(compute, &operands, &mut y).unwrap();
            block
                .backward(compute, &operands, d_y, &mut gradients)
                .unwrap();
        }
        (y, memory.into_singles())
    }
}

fn block(batch: usize, (receivers, senders): (usize, usize), from: From, index: usize) -> Block {
    let own = matches!(from, From::Own | From::OwnNorm);
    let senders = if own { receivers } else { senders };
    let state = 6;
    let linked = [
        Linked::No,
        Linked::PerExample,
        Linked::Shared,
        Linked::Edges,
        Linked::EdgesPerExample,
    ][index % 5];
    let mask = (0..batch * senders).map(|j| j % senders != 1);
    let keep = (0..batch).map(|b| [0.5, 0.0, 1.25][b % 3]).collect();
    Block {
        shape: SkmdpaShape {
            batch,
            receivers,
            senders,
            state,
            sender_state: if from == From::Others { 9 } else { state },
            heads: 2,
            head_dim: 3,
            residual: index % 4 != 3,
        },
        from,
        shared: index % 3 == 2,
        scaled: std::array::from_fn(|i| Scaled::ALL[(index + i * (1 + index / 3)) % 3]),
        linked,
        mask: (index % 2 == 1).then(|| mask.collect()),
        keep: (index % 3 == 1).then_some(keep),
    }
}

const SOURCES: [From; 4] = [From::Own, From::OwnNorm, From::Others, From::OthersSameNorm];

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for from in SOURCES {
        for index in 0..10 {
            check(&block(3, (4, 5), from, index), &format!("{from:?} {index}"));
        }
    }
    check(&block(20, (9, 7), From::Own, 1), "groups of examples");
    check(&block(2, (150, 3), From::Others, 2), "parts of an example");
}

#[test]
fn threads_do_not_change_a_bit() {
    for from in SOURCES {
        for index in 1..4 {
            check_threads(
                &block(12, (40, 20), from, index),
                &format!("{from:?} {index}"),
            );
        }
    }
}
