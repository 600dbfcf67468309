//! Attention against its definition in double precision, and the definition's gradient against finite differences.

#![allow(clippy::unwrap_used, reason = "tests")]

mod definition;

use nac_core::Csr;
use proptest::prelude::*;

use self::definition::{Case, normal};
use super::super::parts;
use super::*;
use crate::training::TrainingPrecision;

#[test]
fn the_reference_has_the_gradient_of_its_finite_differences() {
    let shape = AttentionShape {
        receivers: 3,
        senders: 4,
        heads: 2,
        head_dim: 3,
    };
    let case = Case::new(2, shape, (5, 3));
    let d_out = normal("gradient", case.queries.len());
    let loss = |case: &Case| -> f64 { case.forward().iter().zip(&d_out).map(|(o, g)| o * g).sum() };
    let expected = case.backward(&d_out);
    let step = 1e-5;
    for (which, gradient) in expected.iter().enumerate() {
        for index in 0..gradient.len() {
            let moved = |by: f64| {
                let mut case = case.clone();
                let operand = match which {
                    0 => &mut case.queries,
                    1 => &mut case.keys,
                    2 => &mut case.values,
                    _ => &mut case.links,
                };
                operand[index] += by;
                loss(&case)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!(
                (slope - gradient[index]).abs() < 1e-8,
                "{which} {index}: {slope} {}",
                gradient[index]
            );
        }
    }
}

/// How links are given.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    None,
    Shared,
    PerExample,
    Edges,
}

/// `out`, and the gradients of queries, keys, values and links.
type Results = [Vec<f32>; 5];

fn f32s(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

/// Links of kept edges as a matrix for each example, with zeros where there is no link.
fn as_matrices(edges: &[f32], kept: &ndarray::Array2<f64>, batch: usize) -> Vec<f32> {
    let mut rest = edges.iter();
    let cycle = kept.iter().cycle().take(batch * kept.len());
    cycle
        .map(|kept| {
            if *kept > 0.0 {
                *rest.next().unwrap()
            } else {
                0.0
            }
        })
        .collect()
}

fn run(
    case: &Case,
    form: Form,
    d_out: &[f64],
    threads: usize,
    precision: TrainingPrecision,
) -> Results {
    let compute = Compute::new(threads, precision).unwrap();
    let AttentionShape {
        receivers,
        senders,
        heads,
        ..
    } = case.shape;
    let pairs = receivers * senders;
    let (queries, keys, values) = (f32s(&case.queries), f32s(&case.keys), f32s(&case.values));
    let links = f32s(&case.links);
    let dense = ndarray::Array2::from_shape_fn((receivers, senders), |(i, j)| {
        f64::from(u8::from(links[i * senders + j] > f32::NEG_INFINITY))
    });
    let graph = EdgeGraph::new(&Csr::from_dense(dense.view()).unwrap()).unwrap();
    let kept: Vec<f32> = links
        .iter()
        .zip(dense.iter().cycle())
        .filter(|(_, kept)| **kept > 0.0)
        .map(|(log, _)| *log)
        .collect();
    let operands = AttentionOperands {
        queries: &queries,
        keys: &keys,
        values: &values,
        links: match form {
            Form::None => Links::None,
            Form::Shared => Links::Shared(&links[..pairs]),
            Form::PerExample => Links::PerExample(&links),
            Form::Edges => Links::Edges {
                graph: &graph,
                log: &kept,
            },
        },
        mask: case.mask.contains(&false).then_some(&case.mask),
    };
    let mut attention = Attention::new(case.batch, case.shape);
    // Garbage, since everything is overwritten.
    let garbage = |count: usize| vec![f32::NAN; count];
    let (mut out, mut log_sums) = (
        garbage(queries.len()),
        garbage(case.batch * heads * receivers),
    );
    attention
        .forward(&compute, &operands, &mut out, &mut log_sums)
        .unwrap();
    let [mut dq, mut dk, mut dv] = [&queries, &keys, &values].map(|x| garbage(x.len()));
    let mut dl = garbage(match form {
        Form::None => 0,
        Form::Shared => pairs,
        Form::PerExample => links.len(),
        Form::Edges => kept.len(),
    });
    let mut gradients = AttentionGradients {
        queries: &mut dq,
        keys: &mut dk,
        values: &mut dv,
        links: (form != Form::None).then_some(&mut dl),
    };
    let output = AttentionOutput {
        out: &out,
        log_sums: &log_sums,
    };
    attention
        .backward(&compute, &operands, &output, &f32s(d_out), &mut gradients)
        .unwrap();
    if form == Form::Edges {
        dl = as_matrices(&dl, &dense, case.batch);
    }
    [out, dq, dk, dv, dl]
}

/// Largest difference, relative to the largest value (operands are of order one).
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    let differences = found
        .iter()
        .zip(expected)
        .map(|(f, e)| (f64::from(*f) - e).abs());
    differences.fold(0.0, |most, x| if x <= most { most } else { x }) / scale
}

/// The links of `case` as `form` gives them.
fn adapted(mut case: Case, form: Form) -> Case {
    let pairs = case.shape.receivers * case.shape.senders;
    let first = case.links[..pairs].to_vec();
    for (index, log) in case.links.iter_mut().enumerate() {
        match form {
            Form::None => *log = 0.0,
            Form::Shared => *log = first[index % pairs],
            // One graph for the batch.
            Form::Edges if first[index % pairs].is_infinite() => *log = f64::NEG_INFINITY,
            Form::Edges if log.is_infinite() => *log = -1.0,
            Form::Edges | Form::PerExample => {}
        }
    }
    case
}

fn expected(case: &Case, form: Form, d_out: &[f64]) -> [Vec<f64>; 5] {
    let [dq, dk, dv, dl] = case.backward(d_out);
    let pairs = case.shape.receivers * case.shape.senders;
    let dl = match form {
        Form::None => Vec::new(),
        Form::Shared => (0..pairs)
            .map(|p| dl.iter().skip(p).step_by(pairs).sum())
            .collect(),
        Form::PerExample | Form::Edges => dl,
    };
    [case.forward(), dq, dk, dv, dl]
}

/// Bound on the error in mixed precision, relative to the largest value.
const MIXED_ERROR: f64 = 1.0 / 16.0;

const FORMS: [Form; 4] = [Form::None, Form::Shared, Form::PerExample, Form::Edges];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn values_and_gradients_are_those_of_the_definition(
        (receivers, senders) in (1_usize..80, 1_usize..80),
        (heads, head_dim) in (1_usize..4, 1_usize..40),
        batch in 1_usize..3,
        cut in prop_oneof![Just(0_usize), 2_usize..6],
        pad in prop_oneof![Just(0_usize), 1_usize..5],
        form in prop::sample::select(FORMS.to_vec()),
    ) {
        let shape = AttentionShape { receivers, senders, heads, head_dim };
        let case = adapted(Case::new(batch, shape, (cut, pad)), form);
        let d_out = normal("gradient", case.queries.len());
        let found = run(&case, form, &d_out, 1, TrainingPrecision::F32);
        for (which, (found, expected)) in found.iter().zip(expected(&case, form, &d_out)).enumerate() {
            let error = error(found, &expected);
            prop_assert!(error < 1e-5, "{which}: {error}");
        }
        prop_assert_eq!(&found, &run(&case, form, &d_out, 3, TrainingPrecision::F32));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Operands are rounded by at most 2⁻⁸ each, with errors of either sign. A sum over the width `d` of a head is thus off
    /// by about 2⁻⁸ √d: scores, which are divided by `√d`, by 2⁻⁸, and weights, too; gradients of weights by up to 2⁻⁵ at
    /// the widths of this test, and that is most of the error of gradients where a weight is near one. The bound is
    /// twice that.
    #[test]
    fn mixed_precision_is_within_the_error_of_its_rounding(
        (receivers, senders) in (1_usize..80, 1_usize..80),
        (heads, head_dim) in (1_usize..4, 1_usize..70),
        batch in 1_usize..3,
        cut in prop_oneof![Just(0_usize), 2_usize..6],
        pad in prop_oneof![Just(0_usize), 1_usize..5],
        form in prop::sample::select(FORMS.to_vec()),
    ) {
        let shape = AttentionShape { receivers, senders, heads, head_dim };
        let case = adapted(Case::new(batch, shape, (cut, pad)), form);
        let d_out = normal("gradient", case.queries.len());
        let found = run(&case, form, &d_out, 1, TrainingPrecision::Mixed);
        for (which, (found, expected)) in found.iter().zip(expected(&case, form, &d_out)).enumerate() {
            let error = error(found, &expected);
            prop_assert!(error < MIXED_ERROR, "{which}: {error}");
        }
        prop_assert_eq!(&found, &run(&case, form, &d_out, 3, TrainingPrecision::Mixed));
    }
}

#[test]
fn many_senders_are_taken_in_chunks() {
    for (shape, form) in [
        (
            AttentionShape {
                receivers: 5,
                senders: 701,
                heads: 2,
                head_dim: 64,
            },
            Form::Shared,
        ),
        (
            AttentionShape {
                receivers: 130,
                senders: 259,
                heads: 1,
                head_dim: 64,
            },
            Form::PerExample,
        ),
        (
            AttentionShape {
                receivers: 70,
                senders: 300,
                heads: 2,
                head_dim: 16,
            },
            Form::Edges,
        ),
    ] {
        let case = adapted(Case::new(2, shape, (7, 5)), form);
        let d_out = normal("gradient", case.queries.len());
        let expected = expected(&case, form, &d_out);
        for (precision, bound) in [
            (TrainingPrecision::F32, 1e-5),
            (TrainingPrecision::Mixed, MIXED_ERROR),
        ] {
            let found = run(&case, form, &d_out, 2, precision);
            for (found, expected) in found.iter().zip(&expected) {
                let error = error(found, expected);
                assert!(error < bound, "{shape:?}, {precision}: {error}");
            }
        }
    }
}

#[test]
fn groups_of_heads_add_up_to_the_same_as_the_definition() {
    let shape = AttentionShape {
        receivers: 150,
        senders: 900,
        heads: 2,
        head_dim: 64,
    };
    assert_eq!(parts::groups(shape, 2), 2);
    for form in FORMS {
        let case = adapted(Case::new(2, shape, (7, 5)), form);
        let d_out = normal("gradient", case.queries.len());
        let expected = expected(&case, form, &d_out);
        for (precision, bound) in [
            (TrainingPrecision::F32, 1e-5),
            (TrainingPrecision::Mixed, MIXED_ERROR),
        ] {
            let found = run(&case, form, &d_out, 1, precision);
            for (found, expected) in found.iter().zip(&expected) {
                let error = error(found, expected);
                assert!(error < bound, "{form:?}, {precision}: {error}");
            }
            for threads in [2, 3] {
                let again = run(&case, form, &d_out, threads, precision);
                assert_eq!(found, again, "{form:?}, {precision}, {threads} threads");
            }
        }
    }
}

#[test]
fn a_receiver_without_links_gets_nothing_and_passes_nothing_on() {
    let shape = AttentionShape {
        receivers: 3,
        senders: 5,
        heads: 2,
        head_dim: 4,
    };
    for form in [Form::PerExample, Form::Edges] {
        let case = adapted(Case::new(1, shape, (4, 0)), form);
        let d_out = normal("gradient", case.queries.len());
        for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
            let [out, dq, _, _, dl] = run(&case, form, &d_out, 1, precision);
            assert_eq!(out[..8], [0.0; 8]);
            assert_eq!(dq[..8], [0.0; 8]);
            assert_eq!(dl[..5], [0.0; 5]);
            assert!(dq[8..].iter().all(|x| *x != 0.0));
        }
    }
}

#[test]
fn nobody_to_attend_to_gives_zeros() {
    for (receivers, senders) in [(3, 0), (0, 3), (0, 0)] {
        let shape = AttentionShape {
            receivers,
            senders,
            heads: 2,
            head_dim: 32,
        };
        let case = Case::new(2, shape, (0, 0));
        let d_out = normal("gradient", case.queries.len());
        for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
            let results = run(&case, Form::None, &d_out, 2, precision);
            assert!(results.iter().flatten().all(|x| *x == 0.0));
        }
    }
}

#[test]
fn wrong_shapes_are_refused_by_name() {
    let shape = AttentionShape {
        receivers: 2,
        senders: 3,
        heads: 1,
        head_dim: 4,
    };
    let compute = Compute::new(1, TrainingPrecision::F32).unwrap();
    let (eight, twelve, six) = ([0.0; 8], [0.0; 12], [0.0; 6]);
    let operands = AttentionOperands {
        queries: &eight,
        keys: &twelve,
        values: &twelve,
        links: Links::PerExample(&six),
        mask: None,
    };
    let attention = Attention::new(1, shape);
    let refusal = |operands: &AttentionOperands<'_>| {
        let (mut out, mut log_sums) = ([0.0; 8], [0.0; 2]);
        attention
            .forward(&compute, operands, &mut out, &mut log_sums)
            .map_err(|error| error.to_string())
    };
    assert_eq!(refusal(&operands), Ok(()));
    let short = AttentionOperands {
        keys: &eight,
        ..operands
    };
    assert_eq!(
        refusal(&short).unwrap_err(),
        "Attention: `keys` has 8 elements, but [1, 3, 4] needs 12"
    );
    let links = AttentionOperands {
        links: Links::Shared(&eight),
        ..operands
    };
    assert!(refusal(&links).unwrap_err().contains("`links` has 8"));
    let graph = Csr::new(4, vec![0, 0, 0], Vec::new(), None).unwrap();
    let graph = EdgeGraph::new(&graph).unwrap();
    let edges = AttentionOperands {
        links: Links::Edges {
            graph: &graph,
            log: &[],
        },
        ..operands
    };
    assert!(refusal(&edges).unwrap_err().contains("3 senders"));
}
