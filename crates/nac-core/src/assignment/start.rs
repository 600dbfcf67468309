//! Initial potentials. Any are valid; the closer their bound is to the least cost, the fewer
//! rows have to search for a path.
//!
//! Potentials `v` bound the cost of every assignment from below: `Σ_j v_j + Σ_i min_j (C_ij − v_j)`.
//! Two are tried, and the one with the higher bound is taken.
//!
//! - *Minima*: the least cost of each column.
//! - *Order*: if the costs are `r_i + s_j − x_i·y_j`, as they are for a scale-free prior (but for
//!   its first two rows, whose links are clipped), the best assignment pairs rows in the order of
//!   `x` with columns in the order of `y`, and its potentials follow from neighbours: `v` rises from
//!   one column to the next by as much as the cost does, halfway between the two rows in question.
//!   `x` and `y` are estimated from all costs; errors in their order are fixed by exchanges
//!   of neighbours. Minima would leave a path to almost every row there, each of them long.
//!
//! The potentials of the previous training step, as a third start, were slower than these
//! two for block and scale-free priors, and would have to be saved with a run.

use super::state::Rows;

/// Times that `x` and `y` are estimated from each other.
const ROUNDS: usize = 2;
/// Exchanges of neighbours, per row.
const EXCHANGES: usize = 32;

/// The better start for these costs.
pub(super) fn potentials(rows: Rows<'_>) -> Vec<f64> {
    let minima = minima(rows);
    let Some(ordered) = ordered(rows) else {
        return minima;
    };
    if bound(rows, &ordered) > bound(rows, &minima) {
        ordered
    } else {
        minima
    }
}

fn minima(rows: Rows<'_>) -> Vec<f64> {
    let mut least = vec![f64::INFINITY; rows.n];
    for row in rows.iter() {
        for (least, &cost) in least.iter_mut().zip(row) {
            *least = least.min(cost);
        }
    }
    least
}

/// `None` if there are fewer than two rows.
fn ordered(rows: Rows<'_>) -> Option<Vec<f64>> {
    let (first, last) = (rows.iter().next()?, rows.iter().next_back()?);
    // `r` and `s` vanish in products with centred vectors.
    let mut y: Vec<f64> = first.iter().zip(last).map(|(a, b)| a - b).collect();
    let mut x = vec![0.0; rows.n];
    centre(&mut y);
    for _ in 0..ROUNDS {
        for (x, row) in x.iter_mut().zip(rows.iter()) {
            *x = -row.iter().zip(&y).map(|(cost, y)| cost * y).sum::<f64>();
        }
        centre(&mut x);
        y.fill(0.0);
        for (x, row) in x.iter().zip(rows.iter()) {
            for (y, cost) in y.iter_mut().zip(row) {
                *y -= cost * x;
            }
        }
        centre(&mut y);
    }
    let (by_x, mut by_y) = (order(&x), order(&y));
    exchange_neighbours(rows, &by_x, &mut by_y);
    let mut potentials = vec![0.0; rows.n];
    for (pair, columns) in by_x.windows(2).zip(by_y.windows(2)) {
        let (here, next) = (columns[0], columns[1]);
        let rise = |row: usize| rows.row(row)[next] - rows.row(row)[here];
        potentials[next] = potentials[here] + 0.5 * (rise(pair[0]) + rise(pair[1]));
    }
    Some(potentials)
}

/// Exchanges the columns of neighbours as long as that is cheaper: an insertion sort, which suits
/// a nearly sorted order.
fn exchange_neighbours(rows: Rows<'_>, by_x: &[usize], by_y: &mut [usize]) {
    let mut left = EXCHANGES * rows.n;
    for end in 1..rows.n {
        for second in (1..=end).rev() {
            let (a, b) = (rows.row(by_x[second - 1]), rows.row(by_x[second]));
            let (here, next) = (by_y[second - 1], by_y[second]);
            if left == 0 || a[here] + b[next] <= a[next] + b[here] {
                break;
            }
            by_y.swap(second - 1, second);
            left -= 1;
        }
    }
}

/// Lower bound of the cost of every assignment.
fn bound(rows: Rows<'_>, potentials: &[f64]) -> f64 {
    let least = |row: &[f64]| {
        let prices = row.iter().zip(potentials).map(|(cost, v)| cost - v);
        prices.fold(f64::INFINITY, f64::min)
    };
    potentials.iter().sum::<f64>() + rows.iter().map(least).sum::<f64>()
}

/// Subtracts the mean and scales to length 1; a constant vector becomes 0.
fn centre(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let length = length.max(f64::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
}

/// Indices in increasing order of their values; equal ones stay in order.
fn order(values: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    indices.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    indices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    #[test]
    fn costs_that_are_a_product_are_solved_by_order() {
        let n = 40;
        let mut stream = Streams::new(12).stream("product");
        let mut draw = || {
            let mut values = vec![0.0; n];
            stream.fill_uniform_f64(&mut values);
            values
        };
        let (r, s, x, y) = (draw(), draw(), draw(), draw());
        let cost = |i: usize, j: usize| r[i] + s[j] - x[i] * y[j];
        let costs: Vec<f64> = (0..n * n).map(|at| cost(at / n, at % n)).collect();
        let rows = Rows { costs: &costs, n };
        let pairs = order(&x).into_iter().zip(order(&y));
        let best: f64 = pairs.map(|(i, j)| cost(i, j)).sum();
        let found = ordered(rows).unwrap();
        assert!((bound(rows, &found) - best).abs() < 1e-12);
        assert!(bound(rows, &minima(rows)) < best - 0.1);
        assert_eq!(potentials(rows), found);
    }

    #[test]
    fn an_order_that_is_nearly_right_is_mended() {
        let n = 60;
        let costs: Vec<f64> = (0..n * n).map(|at| -((at / n * (at % n)) as f64)).collect();
        let rows = Rows { costs: &costs, n };
        let sorted: Vec<usize> = (0..n).collect();
        let mut restored = sorted.clone();
        Streams::new(14)
            .stream("order")
            .shuffle(&mut restored[20..50]);
        restored.swap(0, 3);
        exchange_neighbours(rows, &sorted, &mut restored);
        assert_eq!(restored, sorted);
        // The result is a permutation for any costs.
        let nothing = vec![0.0; n * n];
        let mut reversed: Vec<usize> = (0..n).rev().collect();
        exchange_neighbours(Rows { costs: &nothing, n }, &sorted, &mut reversed);
        assert!(reversed.iter().rev().eq(&sorted));
    }

    #[test]
    fn equal_rows_take_minima() {
        let costs = [1.0, 5.0, 2.0, 1.0, 5.0, 2.0, 1.0, 5.0, 2.0];
        let rows = Rows {
            costs: &costs,
            n: 3,
        };
        assert_eq!(potentials(rows), [1.0, 5.0, 2.0]);
        assert_eq!(potentials(Rows { costs: &[], n: 0 }), [0.0; 0]);
        assert_eq!(
            potentials(Rows {
                costs: &[7.0],
                n: 1
            }),
            [7.0]
        );
    }
}
