//! The feed-forward block.

use nac_engine::training::{
    Compute, FeedForward, FeedForwardActivation, FeedForwardGradients, FeedForwardOperands,
    FeedForwardShape,
};

use crate::compare::*;
use crate::reference::{Tensors, close, gelu, norm, normal, project, row};

struct Block {
    shape: FeedForwardShape,
    scaled: (Scaled, Scaled),
    keep: Option<Vec<f32>>,
    bias: bool,
}

impl Case for Block {
    fn tensors(&self) -> Tensors {
        let FeedForwardShape {
            batch,
            modules,
            state,
            hidden,
            ..
        } = self.shape;
        let mut all = Tensors::new();
        all.insert(
            "states".to_owned(),
            normal("states", batch * modules * state),
        );
        add_norm(&mut all, "norm", state);
        let (expanded, rows) = (self.shape.expanded(), |scaled| (scaled, batch, modules));
        add_projection(
            &mut all,
            "expand",
            (expanded, state),
            rows(self.scaled.0),
            self.bias,
        );
        add_projection(
            &mut all,
            "contract",
            (state, hidden),
            rows(self.scaled.1),
            self.bias,
        );
        all
    }

    fn reference(&self, t: &Tensors) -> Vec<f64> {
        let FeedForwardShape {
            batch,
            modules,
            state,
            hidden,
            ..
        } = self.shape;
        let of = |index: usize| {
            let x = row(&t["states"], state, index);
            let pre = project(t, "expand", &norm(t, "norm", x), index);
            let active: Vec<f64> = match self.shape.activation {
                FeedForwardActivation::Gelu => pre.iter().map(|x| gelu(*x)).collect(),
                FeedForwardActivation::Geglu => (0..hidden)
                    .map(|i| pre[i] * gelu(pre[hidden + i]))
                    .collect(),
            };
            let branch = project(t, "contract", &active, index);
            let keep = self
                .keep
                .as_ref()
                .map_or(1.0, |keep| f64::from(keep[index / modules]));
            close(self.shape.residual.then_some(x), keep, &branch)
        };
        (0..batch * modules).flat_map(of).collect()
    }

    fn engine(&self, compute: &Compute, tensors: &Singles, d_y: &[f32]) -> (Vec<f32>, Singles) {
        let operands = FeedForwardOperands {
            states: &tensors["states"],
            norm: norm_operand(tensors, "norm"),
            expand: projection_operand(tensors, "expand"),
            contract: projection_operand(tensors, "contract"),
            keep: self.keep.as_deref(),
        };
        let mut block = FeedForward::new(self.shape).unwrap();
        let mut y = vec![f32::NAN; d_y.len()];
        let mut memory = Memory::new(tensors);
        let [states, gain, bias, w1, b1, s1, w2, b2, s2] = memory.slices([
            "states",
            "norm.gain",
            "norm.bias",
            "expand.weight",
            "expand.bias",
            "expand.scale",
            "contract.weight",
            "contract.bias",
            "contract.scale",
        ]);
        let mut gradients = FeedForwardGradients {
            states,
            norm: norm_gradient([gain, bias]),
            expand: projection_gradient([w1, b1, s1]),
            contract: projection_gradient([w2, b2, s2]),
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

fn block((batch, modules, state, hidden): (usize, usize, usize, usize), index: usize) -> Block {
    let activation = if index.is_multiple_of(2) {
        FeedForwardActivation::Geglu
    } else {
        FeedForwardActivation::Gelu
    };
    let keep = (0..batch).map(|b| [1.25, 0.0, 0.5][b % 3]).collect();
    Block {
        shape: FeedForwardShape {
            batch,
            modules,
            state,
            hidden,
            activation,
            residual: index % 3 != 1,
        },
        scaled: (Scaled::ALL[index % 3], Scaled::ALL[index / 3 % 3]),
        keep: (index % 4 > 1).then_some(keep),
        bias: index % 5 != 4,
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for index in 0..12 {
        check(&block((3, 5, 6, 7), index), &format!("small {index}"));
    }
    check(&block((2, 9, 33, 40), 3), "odd");
    check(&block((18, 9, 17, 16), 8), "groups of examples");
    check(&block((2, 150, 8, 8), 4), "parts of an example");
    check(&block((34, 150, 2, 3), 4), "blocks of a part");
}

#[test]
fn threads_do_not_change_a_bit() {
    for index in [3, 4, 8] {
        check_threads(
            &block((10, 40, 32, 48), index),
            &format!("many examples {index}"),
        );
        check_threads(
            &block((2, 300, 24, 16), index),
            &format!("many modules {index}"),
        );
    }
}

#[test]
fn wrong_operands_are_errors_with_both_shapes() {
    let case = block((3, 5, 6, 7), 0);
    let tensors = singles(&case.tensors());
    let compute = Compute::new(1, nac_engine::training::TrainingPrecision::F32).unwrap();
    let mut block = FeedForward::new(case.shape).unwrap();
    let mut operands = FeedForwardOperands {
        states: &tensors["states"][1..],
        norm: norm_operand(&tensors, "norm"),
        expand: projection_operand(&tensors, "expand"),
        contract: projection_operand(&tensors, "contract"),
        keep: None,
    };
    let mut y = vec![0.0; 90];
    let error = block
        .forward(&compute, &operands, &mut y)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("states") && error.contains("[3, 5, 6]") && error.contains("89"),
        "{error}"
    );
    operands.states = &tensors["states"];
    let error = block
        .forward(&compute, &operands, &mut y[1..])
        .unwrap_err()
        .to_string();
    assert!(error.contains("`y`") && error.contains("89"), "{error}");
    let scale = vec![0.0; 31];
    operands.expand.scale = Some(&scale);
    let error = block
        .forward(&compute, &operands, &mut y)
        .unwrap_err()
        .to_string();
    assert!(error.contains("scale") && error.contains("31"), "{error}");
    let shape = FeedForwardShape {
        hidden: 0,
        ..case.shape
    };
    let error = FeedForward::new(shape).unwrap_err().to_string();
    assert!(error.contains("hidden"), "{error}");
}

#[test]
fn a_backward_pass_needs_a_forward_pass() {
    let case = block((3, 5, 6, 7), 0);
    let tensors = singles(&case.tensors());
    let compute = Compute::new(1, nac_engine::training::TrainingPrecision::F32).unwrap();
    let mut block = FeedForward::new(case.shape).unwrap();
    let operands = FeedForwardOperands {
        states: &tensors["states"],
        norm: norm_operand(&tensors, "norm"),
        expand: projection_operand(&tensors, "expand"),
        contract: projection_operand(&tensors, "contract"),
        keep: None,
    };
    let mut memory = Memory::new(&tensors);
    let [gain, bias, w1, w2] =
        memory.slices(["norm.gain", "norm.bias", "expand.weight", "contract.weight"]);
    let mut gradients = FeedForwardGradients {
        states: None,
        norm: norm_gradient([gain, bias]),
        expand: projection_gradient([w1, None, None]),
        contract: projection_gradient([w2, None, None]),
    };
    let d_y = vec![1.0; 90];
    let error = block
        .backward(&compute, &operands, &d_y, &mut gradients)
        .unwrap_err();
    assert!(error.to_string().contains("forward"), "{error}");
    let mut y = vec![0.0; 90];
    block.forward(&compute, &operands, &mut y).unwrap();
    block
        .backward(&compute, &operands, &d_y, &mut gradients)
        .unwrap();
    assert!(
        block
            .backward(&compute, &operands, &d_y, &mut gradients)
            .is_err()
    );
}
