//! Attention of modules to tokens, against keys and values for every module and token.

use nac_engine::training::{
    Compute, ReadInAttention, ReadInGradients, ReadInOperands, ReadInShape, States,
};

use crate::compare::*;
use crate::reference::{Tensors, attend, close, norm, normal, padding, project, row};

struct Block {
    shape: ReadInShape,
    shared: bool,
    /// Of query, key, value, exit.
    scaled: [Scaled; 4],
    mask: Option<Vec<bool>>,
    keep: Option<Vec<f32>>,
}

impl Block {
    /// Whether an example has no real token: then all tokens have the same weight.
    fn only_padding(&self, example: usize) -> bool {
        let tokens = self.shape.tokens;
        let of_example = |mask: &Vec<bool>| mask[example * tokens..][..tokens].contains(&true);
        self.mask.as_ref().is_some_and(|mask| !of_example(mask))
    }
}

impl Case for Block {
    fn tensors(&self) -> Tensors {
        let ReadInShape {
            batch,
            modules,
            tokens,
            state,
            token_dim,
            heads,
            head_dim,
            ..
        } = self.shape;
        let mut all = Tensors::new();
        let examples = if self.shared { 1 } else { batch };
        all.insert(
            "states".to_owned(),
            normal("states", examples * modules * state),
        );
        all.insert(
            "tokens".to_owned(),
            normal("tokens", batch * tokens * token_dim),
        );
        add_norm(&mut all, "receiver_norm", state);
        add_norm(&mut all, "sender_norm", token_dim);
        let inner = heads * head_dim;
        let projections = [
            ("query", (inner, state)),
            ("key", (inner, token_dim)),
            ("value", (inner, token_dim)),
            ("exit", (state, inner)),
        ];
        for ((name, widths), scaled) in projections.into_iter().zip(self.scaled) {
            add_projection(&mut all, name, widths, (scaled, batch, modules), true);
        }
        all
    }

    fn reference(&self, t: &Tensors) -> Vec<f64> {
        let ReadInShape {
            batch,
            modules,
            tokens,
            state,
            token_dim,
            heads,
            ..
        } = self.shape;
        let mut y = Vec::new();
        for b in 0..batch {
            let added = padding(self.mask.as_deref(), tokens, b);
            for i in 0..modules {
                let r = b * modules + i;
                let of = |name: &str| -> Vec<Vec<f64>> {
                    let tokens = (0..tokens).map(|j| row(&t["tokens"], token_dim, b * tokens + j));
                    tokens
                        .map(|x| project(t, name, &norm(t, "sender_norm", x), r))
                        .collect()
                };
                let x = row(&t["states"], state, r);
                let mut query = project(t, "query", &norm(t, "receiver_norm", x), r);
                if self.only_padding(b) {
                    query.fill(0.0);
                }
                let message = attend(&query, (&of("key"), &of("value")), &added, heads);
                let branch = project(t, "exit", &message, r);
                let keep = self.keep.as_ref().map_or(1.0, |keep| f64::from(keep[b]));
                y.extend(close(self.shape.residual.then_some(x), keep, &branch));
            }
        }
        y
    }

    fn engine(&self, compute: &Compute, tensors: &Singles, d_y: &[f32]) -> (Vec<f32>, Singles) {
        let operands = ReadInOperands {
            states: States {
                values: &tensors["states"],
                shared: self.shared,
            },
            tokens: &tensors["tokens"],
            mask: self.mask.as_deref(),
            receiver_norm: norm_operand(tensors, "receiver_norm"),
            sender_norm: norm_operand(tensors, "sender_norm"),
            query: projection_operand(tensors, "query"),
            key: projection_operand(tensors, "key"),
            value: projection_operand(tensors, "value"),
            exit: projection_operand(tensors, "exit"),
            keep: self.keep.as_deref(),
        };
        let mut block = ReadInAttention::new(self.shape).unwrap();
        let mut y = vec![f32::NAN; d_y.len()];
        let mut memory = Memory::new(tensors);
        let [
            states,
            tokens,
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
            "states",
            "tokens",
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
        let mut gradients = ReadInGradients {
            states,
            tokens,
            receiver_norm: norm_gradient([g1, b1]),
            sender_norm: norm_gradient([g2, b2]),
            query: projection_gradient([wq, bq, sq]),
            key: projection_gradient([wk, bk, sk]),
            value: projection_gradient([wv, bv, sv]),
            exit: projection_gradient([we, be, se]),
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

fn block(
    (batch, modules, tokens): (usize, usize, usize),
    widths: [usize; 4],
    index: usize,
) -> Block {
    let [state, token_dim, heads, head_dim] = widths;
    let mask = (0..batch * tokens).map(|j| j % 3 != 1 && j >= tokens);
    let keep = (0..batch).map(|b| [0.5, 0.0, 1.25][b % 3]).collect();
    Block {
        shape: ReadInShape {
            batch,
            modules,
            tokens,
            state,
            token_dim,
            heads,
            head_dim,
            residual: index % 4 != 3,
        },
        shared: index.is_multiple_of(2),
        scaled: std::array::from_fn(|i| Scaled::ALL[(1 + index + i * (index / 3)) % 3]),
        mask: (index % 3 == 1).then(|| mask.collect()),
        keep: (index % 4 == 1).then_some(keep),
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for index in 0..12 {
        check(
            &block((3, 4, 5), [6, 7, 2, 3], index),
            &format!("small {index}"),
        );
    }
    check(&block((18, 9, 4), [6, 5, 2, 3], 3), "groups of examples");
    check(&block((2, 150, 3), [4, 3, 1, 2], 4), "parts of an example");
}

#[test]
fn threads_do_not_change_a_bit() {
    for index in 0..4 {
        check_threads(
            &block((12, 40, 20), [8, 7, 2, 3], index),
            &format!("many examples {index}"),
        );
        check_threads(
            &block((2, 200, 20), [8, 16, 1, 3], index),
            &format!("many modules {index}"),
        );
    }
}
