//! Recompute nodes give the gradients of libtorch's own graph.

use super::*;
use tch::{Device, Kind};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

fn leaf(size: &[i64]) -> Tensor {
    Tensor::randn(size, DOUBLE).set_requires_grad(true)
}

/// `a · b` elementwise, as a node.
fn product(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Tensor {
    let value = tch::no_grad(|| a * b);
    let (x, y) = (a.detach(), b.detach());
    let inputs = vec![a.shallow_clone(), b.shallow_clone()];
    let backward = move |g: &[Tensor]| Ok(vec![&g[0] * &y, &g[0] * &x]);
    tape.recompute_node(inputs, vec![value], backward)
        .unwrap()
        .swap_remove(0)
}

/// A chain of products, sums and functions in which leaves, graph tensors and results of nodes meet.
fn chain(product: &mut dyn FnMut(&Tensor, &Tensor) -> Tensor, leaves: &[Tensor; 3]) -> Tensor {
    let [a, b, c] = leaves;
    let shared = (a + b).tanh();
    let first = product(&shared, c);
    let second = product(&(&first + &shared), &first);
    let third = product(&second, &(a * 2.0));
    (third.sin() + &first * b).sum(Kind::Double)
}

fn close(ours: &[Tensor], theirs: &[Tensor]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            ours.allclose(theirs, 1e-12, 1e-12, false),
            "{ours} {theirs}"
        );
    }
}

#[test]
fn nodes_in_a_graph_give_the_gradients_of_the_graph() {
    let leaves = [leaf(&[2, 3]), leaf(&[2, 3]), leaf(&[2, 3])];
    let all: Vec<&Tensor> = leaves.iter().collect();
    let plain = chain(&mut |x, y| x * y, &leaves);
    let expected = Tensor::run_backward(&[plain], &all, false, false);
    let mut tape = Tape::new();
    let loss = chain(&mut |x, y| product(&mut tape, x, y), &leaves);
    assert_eq!(tape.len(), 3);
    close(&tape.backward(&loss, &all).unwrap(), &expected);
    assert!(tape.is_empty());
}

#[test]
fn a_detached_leaf_changes_no_gradient() {
    let (a, b) = (leaf(&[4]), leaf(&[4]));
    let mut tape = Tape::new();
    let inner = tape.detached_leaf(&(&a * &b).exp()).unwrap();
    assert!(inner.is_leaf());
    let loss = (product(&mut tape, &inner, &a) + &inner).sum(Kind::Double);
    let ours = tape.backward(&loss, &[&a, &b]).unwrap();
    let inner = (&a * &b).exp();
    let loss = (&inner * &a + &inner).sum(Kind::Double);
    close(
        &ours,
        &Tensor::run_backward(&[loss], &[&a, &b], false, false),
    );
    assert_eq!(tape.detached_leaf(&a).unwrap().data_ptr(), a.data_ptr());
    assert!(tape.is_empty(), "a leaf needs no node");
}

#[test]
fn what_the_loss_does_not_depend_on_has_no_gradient() {
    let (a, b) = (leaf(&[4]), leaf(&[4]));
    let mut tape = Tape::new();
    let _unused = product(&mut tape, &b, &b);
    let constant = Tensor::ones([4], DOUBLE);
    let value = product(&mut tape, &constant, &constant);
    assert!(!value.requires_grad());
    let loss = (&a * &value).sum(Kind::Double);
    let gradients = tape.backward(&loss, &[&a, &b]).unwrap();
    assert!(gradients[0].defined() && !gradients[1].defined());
    let gradients = tape.backward(&constant.sum(Kind::Double), &[&a]).unwrap();
    assert!(!gradients[0].defined());
}

#[test]
fn two_outputs_of_which_one_is_used() {
    let a = leaf(&[3]);
    let mut tape = Tape::new();
    let saved = a.detach();
    let values = tch::no_grad(|| vec![&a * 2.0, a.square()]);
    let outputs = tape
        .recompute_node(vec![a.shallow_clone()], values, move |g| {
            Ok(vec![&g[0] * 2.0 + &g[1] * &saved * 2.0])
        })
        .unwrap();
    let loss = outputs[1].sum(Kind::Double);
    let gradients = tape.backward(&loss, &[&a]).unwrap();
    assert_eq!(gradients[0], a.detach() * 2.0);
}

#[test]
fn misuse_is_an_error_and_not_a_wrong_gradient() {
    let a = leaf(&[3]);
    let mut tape = Tape::new();
    let double = &a * 2.0;
    let loss = double.sum(Kind::Double);
    let refused =
        |tape: &mut Tape, inputs: &[&Tensor]| tape.backward(&loss, inputs).unwrap_err().to_string();
    assert!(refused(&mut tape, &[&double]).contains("a leaf that takes a gradient"));
    assert!(refused(&mut tape, &[&a, &a]).contains("shares its values with no other"));
    let mut node = |gradients: Vec<Tensor>| {
        let value = tch::no_grad(|| &a * 2.0);
        let leaf = tape
            .recompute_node(vec![a.shallow_clone()], vec![value], |_| Ok(gradients))
            .unwrap()
            .swap_remove(0);
        tape.backward(&leaf.sum(Kind::Double), &[&a])
            .unwrap_err()
            .to_string()
    };
    assert!(node(vec![]).contains("one for each of 1 inputs"));
    assert!(node(vec![Tensor::ones([2], DOUBLE)]).contains("must have shape [3]"));
}
