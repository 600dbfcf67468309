//! Slow products in double precision that tests compare with, and bounds on the difference.
#![cfg(test)]

use super::round::round_all;

/// `a[i][k]`, `b[k][j]` summed over `k`, and the same of their magnitudes.
pub(super) fn product(
    (rows, columns, depth): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<(f64, f64)> {
    let cell = |i: usize, j: usize| {
        let terms = (0..depth).map(|k| f64::from(a(i, k)) * f64::from(b(k, j)));
        terms.fold((0.0, 0.0), |sums, term| {
            (sums.0 + term, sums.1 + term.abs())
        })
    };
    let cells =
        (0..rows * columns).map(|cell_index| cell(cell_index / columns, cell_index % columns));
    cells.collect()
}

/// Numbers between −1 and 1 that look random.
pub(super) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / f32::from(1_u16 << 15) / 256.0 - 1.0
    };
    (0..len).map(next).collect()
}

/// The same rounded to bfloat16.
pub(super) fn rounded(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    round_all(&mut values);
    values
}

/// Panics unless each number is within `error` times the sum of magnitudes of its reference.
pub(super) fn assert_close(actual: &[f32], expected: &[(f64, f64)], error: f64) {
    assert_eq!(actual.len(), expected.len());
    for (index, (actual, (expected, magnitude))) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*actual) - expected).abs();
        assert!(
            difference <= error * magnitude + 1e-30,
            "{index}: {actual} instead of {expected}, {difference:e} of {magnitude}"
        );
    }
}
