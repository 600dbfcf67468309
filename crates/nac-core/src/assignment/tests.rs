//! Tests of the assignment: against all permutations, against another program, and by its potentials.

use ndarray::{Array2, array};
use ordered_float::OrderedFloat;
use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;
use proptest::prelude::*;

use super::*;
use crate::prior::PriorConfig;
use crate::rng::Streams;
use crate::{LinkKernel, cosine_distance};

/// Costs of several kinds: with and without ties, with equal rows, products, huge, tiny.
fn costs(kind: u8, n: usize, seed: u64) -> Array2<f64> {
    let mut stream = Streams::new(seed).stream("costs");
    let mut draw = |rows: usize, columns: usize| {
        let mut out = Array2::zeros((rows, columns));
        out.iter_mut().for_each(|value| *value = stream.uniform());
        out
    };
    let any = draw(n, n);
    match kind {
        0 => any,
        1 => any.mapv(|c| (c * 3.0).floor()),
        2 => Array2::from_shape_fn((n, n), |(i, j)| any[[i / 3, j]]),
        3 => Array2::from_shape_fn((n, n), |(i, j)| any[[i / 3, j / 2]]),
        4 => draw(n, 1).dot(&draw(1, n)) - any * 1e-3,
        5 => any * 1e299,
        6 => any.mapv(|c| -c * 1e-300),
        _ => Array2::zeros((n, n)),
    }
}

fn least_by_trying(costs: &Array2<f64>, row: usize, taken: &mut Vec<usize>) -> f64 {
    if row == costs.nrows() {
        return 0.0;
    }
    let mut least = f64::INFINITY;
    for j in 0..costs.ncols() {
        if !taken.contains(&j) {
            taken.push(j);
            least = least.min(costs[[row, j]] + least_by_trying(costs, row + 1, taken));
            taken.pop();
        }
    }
    least
}

/// Each column once, the sum right, and no row with a cheaper column under the potentials.
fn check(costs: &Array2<f64>, found: &Assignment) -> Result<(), TestCaseError> {
    let mut seen = found.columns.clone();
    seen.sort_unstable();
    prop_assert_eq!(seen, (0..costs.nrows()).collect::<Vec<_>>());
    let largest = costs.fold(0.0, |m: f64, c| m.max(c.abs()));
    let rounding = 1e-12 * largest * costs.nrows() as f64;
    let mut sum = 0.0;
    for (row, &column) in costs.rows().into_iter().zip(&found.columns) {
        let price = |j: usize| row[j] - found.potentials[j];
        let least = (0..row.len()).map(price).fold(f64::INFINITY, f64::min);
        prop_assert!(
            price(column) <= least + rounding,
            "{} {least}",
            price(column)
        );
        sum += row[column];
    }
    prop_assert!((sum - found.cost).abs() <= rounding);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_permutation_is_cheaper(kind in 0_u8..8, n in 0_usize..8, seed: u64) {
        let costs = costs(kind, n, seed);
        let found = assign(costs.view()).unwrap();
        check(&costs, &found)?;
        let least = least_by_trying(&costs, 0, &mut Vec::new());
        let largest = costs.fold(0.0, |m: f64, c| m.max(c.abs()));
        prop_assert!((found.cost - least).abs() <= 1e-12 * largest, "{} {least}", found.cost);
    }

    #[test]
    fn another_program_finds_the_same_cost(kind in 0_u8..8, n in 1_usize..60, seed: u64) {
        let costs = costs(kind, n, seed);
        let found = assign(costs.view()).unwrap();
        check(&costs, &found)?;
        let values = costs.iter().map(|&cost| OrderedFloat(cost)).collect();
        let (other, _) = kuhn_munkres_min(&Matrix::from_vec(n, n, values).unwrap());
        let largest = costs.fold(0.0, |m: f64, c| m.max(c.abs()));
        prop_assert!((found.cost - other.into_inner()).abs() <= 1e-10 * largest);
    }

    #[test]
    fn order_of_rows_and_columns_does_not_matter(n in 1_usize..40, seed: u64) {
        let costs = costs(0, n, seed);
        let mut order: Vec<usize> = (0..n).collect();
        Streams::new(seed).stream("order").shuffle(&mut order);
        let shuffled = Array2::from_shape_fn((n, n), |(i, j)| costs[[order[i], order[j]]]);
        let (found, other) = (assign(costs.view()).unwrap(), assign(shuffled.view()).unwrap());
        // Without ties there is one best assignment.
        for i in 0..n {
            prop_assert_eq!(order[other.columns[i]], found.columns[order[i]]);
        }
    }
}

#[test]
fn graphs_of_every_prior_are_matched_at_least_cost() {
    let n = 120;
    let mut signatures = Array2::<f64>::zeros((n, 16));
    let mut stream = Streams::new(13).stream("signatures");
    signatures
        .iter_mut()
        .for_each(|value| *value = stream.uniform() - 0.4);
    let distance = cosine_distance(signatures.view(), signatures.view()).unwrap();
    let links = LinkKernel::default()
        .link_probability(distance.view())
        .unwrap();
    for name in [
        "scale-free",
        "planted-partition",
        "ring-of-cliques",
        "watts-strogatz",
        "complete",
    ] {
        let graphon = PriorConfig::from_name(name)
            .unwrap()
            .build()
            .link_probabilities(n)
            .unwrap();
        let cost = |(t, i): (usize, usize)| {
            let pairs = graphon.row(t).into_iter().zip(links.row(i));
            pairs.map(|(g, p)| (g - p).powi(2)).sum::<f64>() / n as f64
        };
        let costs = Array2::from_shape_fn((n, n), cost);
        let found = assign(costs.view()).unwrap();
        check(&costs, &found).unwrap();
        assert_eq!(found, assign(costs.view()).unwrap(), "the same again");
        let by_columns = costs.t().as_standard_layout().into_owned();
        assert_eq!(found, assign(by_columns.t()).unwrap(), "in any layout");
    }
}

#[test]
fn bad_costs_are_named() {
    let message = assign(array![[0.0, 1.0]].view()).unwrap_err().to_string();
    assert!(
        message.contains("[1]") && message.contains("[2]"),
        "{message}"
    );
    for bad in [f64::NAN, f64::INFINITY, -1e301] {
        let message = assign(array![[0.0, 1.0], [bad, 0.0]].view())
            .unwrap_err()
            .to_string();
        assert!(message.contains("costs[1, 0]"), "{message}");
    }
}
