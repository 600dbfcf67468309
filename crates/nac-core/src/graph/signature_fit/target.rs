//! What a fit of signatures minimizes: a loss on the cosine distances `d_ij` of signatures, with its gradient.
//!
//! - Hinge: `mean_ij max(τ, d_ij)` where there is an edge and `max(−τ, −d_ij)` where there is none. At a tie
//!   the gradient is halved. (The signs are as in the reference: −τ is a constant, so the second part
//!   pushes modules apart until `d_ij = τ`.)
//! - Mean squared error: `mean_ij (d_ij − h_ij / max h)²` with `h` the number of edges on the shortest path.
//!
//! With `u_i = s_i/‖s_i‖`, `d_ij = 1 − u_i·u_j` and a symmetric `W_ij = ∂loss/∂d_ij`:
//! `∂loss/∂u_i = −2 Σ_j W_ij u_j = g_i`, `∂loss/∂s_i = (g_i − u_i (u_i·g_i)) / ‖s_i‖`.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::graph::hop_distances;
use crate::kernel::{BLOCK_ROWS, normalize_signatures};
use crate::{CoreError, Csr};

/// What a fit of signatures minimizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitObjective {
    /// Linked modules closer than the truncation, others farther.
    #[default]
    Hinge,
    /// Distances in proportion to the number of edges between two modules.
    Mse,
}

/// A graph as the target of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct FitTarget {
    objective: FitObjective,
    truncation: f64,
    /// Hinge: 1 for an edge, else 0. Mean squared error: the distances wanted.
    wanted: Array2<f64>,
}

impl FitTarget {
    /// The target of approximating `graph`. `truncation` is used by the hinge only. For the mean squared error,
    /// modules without a path between them are wanted at distance 1, as those farthest apart.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if the graph is not square, [`CoreError::InvalidGraph`] if it is not
    /// symmetric or has no modules, [`CoreError::InvalidParameter`] if `truncation` is not in `[0, 2]`.
    pub fn new(graph: &Csr, objective: FitObjective, truncation: f64) -> Result<Self, CoreError> {
        let op = "FitTarget";
        check_truncation(op, truncation)?;
        let hops = hop_distances(graph)?;
        if hops.is_empty() || *graph != graph.transpose() {
            let reason = if hops.is_empty() {
                "the graph has no modules"
            } else {
                "the graph is not symmetric"
            };
            return Err(CoreError::InvalidGraph {
                op,
                reason: reason.into(),
            });
        }
        let wanted = match objective {
            FitObjective::Hinge => {
                let mut edges = Array2::zeros(graph.shape());
                for (i, j, _) in graph.iter() {
                    edges[[i, j]] = 1.0;
                }
                edges
            }
            FitObjective::Mse => {
                let finite = hops.iter().filter(|hops| hops.is_finite());
                let largest = finite.fold(1.0_f64, |largest, &hops| largest.max(hops));
                hops.mapv(|hops| (hops / largest).min(1.0))
            }
        };
        Ok(Self {
            objective,
            truncation,
            wanted,
        })
    }

    /// Number of modules of the graph.
    #[must_use]
    pub fn modules(&self) -> usize {
        self.wanted.nrows()
    }

    /// The loss, and its gradient with respect to the signatures (0 for a signature that is 0).
    ///
    /// # Shapes
    /// - signatures: `[modules, dim]`
    /// - gradient: `[modules, dim]`
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if there are not as many signatures as modules,
    /// [`CoreError::InvalidValue`] if one is not finite.
    pub fn loss_and_gradient(
        &self,
        signatures: ArrayView2<'_, f64>,
    ) -> Result<(f64, Array2<f64>), CoreError> {
        let unit = self.unit(signatures)?;
        let n = self.modules();
        let pairs = (n * n) as f64;
        let mut gradient = Array2::zeros(unit.dim());
        let blocks = gradient
            .axis_chunks_iter_mut(Axis(0), BLOCK_ROWS)
            .into_par_iter()
            .enumerate();
        let losses: Vec<f64> = blocks
            .map(|(block, mut rows)| {
                let first = block * BLOCK_ROWS;
                let block = s![first..first + rows.nrows(), ..];
                let own = unit.slice(block);
                // Distances, then the derivative by each of them.
                let mut weights = own.dot(&unit.t());
                let mut sum = 0.0;
                weights.zip_mut_with(&self.wanted.slice(block), |weight, &wanted| {
                    let (loss, derivative) = self.pair(1.0 - *weight, wanted);
                    sum += loss;
                    *weight = derivative;
                });
                rows.assign(&weights.dot(&unit));
                rows *= -2.0 / pairs;
                // The loss does not depend on a signature's length.
                for ((mut row, unit), signature) in rows
                    .rows_mut()
                    .into_iter()
                    .zip(own.rows())
                    .zip(signatures.slice(block).rows())
                {
                    let norm = signature.dot(&signature).sqrt();
                    if norm == 0.0 {
                        row.fill(0.0);
                    } else {
                        let along = row.dot(&unit);
                        row.scaled_add(-along, &unit);
                        row /= norm;
                    }
                }
                sum
            })
            .collect();
        Ok((losses.iter().sum::<f64>() / pairs, gradient))
    }

    /// How far the signatures are from the target. Hinge: share of pairs on the wrong side of the truncation.
    /// Mean squared error: the loss itself.
    ///
    /// # Shapes
    /// - signatures: `[modules, dim]`
    ///
    /// # Errors
    /// As [`loss_and_gradient`](Self::loss_and_gradient).
    pub fn score(&self, signatures: ArrayView2<'_, f64>) -> Result<f64, CoreError> {
        let unit = self.unit(signatures)?;
        let rows: Vec<f64> = (0..self.modules())
            .into_par_iter()
            .map(|i| {
                let distances: Array1<f64> = 1.0 - unit.dot(&unit.row(i));
                let pairs = distances.iter().zip(self.wanted.row(i)).enumerate();
                let terms = pairs.map(|(j, (&distance, &wanted))| match self.objective {
                    FitObjective::Hinge => {
                        let near = f64::from(distance < self.truncation);
                        (near - f64::from(i == j) - wanted).abs()
                    }
                    FitObjective::Mse => (distance - wanted).powi(2),
                });
                terms.sum()
            })
            .collect();
        Ok(rows.iter().sum::<f64>() / (self.modules() as f64).powi(2))
    }

    fn unit(&self, signatures: ArrayView2<'_, f64>) -> Result<Array2<f64>, CoreError> {
        if signatures.nrows() != self.modules() {
            return Err(CoreError::shapes(
                "FitTarget",
                signatures.shape(),
                self.wanted.shape(),
                "as many signatures as the graph has modules",
            ));
        }
        normalize_signatures(signatures)
    }

    /// Loss of a pair and its derivative by the distance.
    fn pair(&self, distance: f64, wanted: f64) -> (f64, f64) {
        match self.objective {
            FitObjective::Mse => {
                let error = distance - wanted;
                (error * error, 2.0 * error)
            }
            FitObjective::Hinge => {
                let truncation = self.truncation;
                // Above the truncation an edge counts, below it the lack of one.
                let above = match distance.total_cmp(&truncation) {
                    std::cmp::Ordering::Less => 0.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Greater => 1.0,
                };
                if wanted == 1.0 {
                    (distance.max(truncation), above)
                } else {
                    (-distance.min(truncation), above - 1.0)
                }
            }
        }
    }
}

pub(super) fn check_truncation(op: &'static str, truncation: f64) -> Result<(), CoreError> {
    if !(0.0..=2.0).contains(&truncation) {
        return Err(CoreError::parameter(
            op,
            "truncation",
            truncation,
            "in [0, 2]",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphGenerator, signature_fit::orthogonal_signatures};
    use crate::{Streams, cosine_distance};
    use ndarray::array;
    use proptest::prelude::*;

    /// The loss pair by pair, from its definition.
    fn slow_loss(target: &FitTarget, signatures: &Array2<f64>) -> f64 {
        let distance = cosine_distance(signatures.view(), signatures.view()).unwrap();
        let term = |((i, j), &d): ((usize, usize), &f64)| {
            let (wanted, truncation) = (target.wanted[[i, j]], target.truncation);
            match target.objective {
                FitObjective::Mse => (d - wanted).powi(2),
                FitObjective::Hinge if wanted == 1.0 => f64::max(truncation, d),
                FitObjective::Hinge => f64::max(-truncation, -d),
            }
        };
        distance.indexed_iter().map(term).sum::<f64>() / distance.len() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_gradient_agrees_with_finite_differences(n in 3_usize..70, seed: u64, mse: bool) {
            let streams = Streams::new(seed);
            let graph = GraphGenerator::ErdosRenyi { p: 0.3 }
                .generate(n, &mut streams.stream("graph")).unwrap();
            let objective = if mse { FitObjective::Mse } else { FitObjective::Hinge };
            let target = FitTarget::new(&graph, objective, 0.8).unwrap();
            let signatures = orthogonal_signatures(n, 4, &mut streams.stream("start")).unwrap();
            let (loss, gradient) = target.loss_and_gradient(signatures.view()).unwrap();
            prop_assert!((loss - slow_loss(&target, &signatures)).abs() < 1e-12);
            let mut off = 0;
            for at in (0..n * 4).step_by(n) {
                let index = [at / 4, at % 4];
                let moved = |step: f64| {
                    let mut moved = signatures.clone();
                    moved[index] += step;
                    slow_loss(&target, &moved)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                // A pair that crosses the truncation within the step changes the slope, which is rare.
                off += usize::from((slope - gradient[index]).abs() > 1e-6);
            }
            prop_assert!(off <= 1);
        }
    }

    #[test]
    fn ties_halve_the_gradient_and_zero_signatures_have_none() {
        let graph = Csr::from_dense(array![[0.0, 1.0], [1.0, 0.0]].view()).unwrap();
        let target = FitTarget::new(&graph, FitObjective::Hinge, 1.0).unwrap();
        // At right angles: distance 1, the truncation.
        let s = array![[1.0, 0.0], [0.0, 1.0]];
        let (_, gradient) = target.loss_and_gradient(s.view()).unwrap();
        assert_eq!(gradient, array![[0.0, -0.25], [-0.25, 0.0]]);
        let s = array![[0.0, 0.0], [0.0, 1.0]];
        let (loss, gradient) = target.loss_and_gradient(s.view()).unwrap();
        assert!(
            loss.is_finite() && gradient.iter().all(|g| *g == 0.0),
            "{gradient}"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let hinge = FitObjective::Hinge;
        let one_way = Csr::from_dense(array![[0.0, 1.0], [0.0, 0.0]].view()).unwrap();
        let message = FitTarget::new(&one_way, hinge, 0.8)
            .unwrap_err()
            .to_string();
        assert!(message.contains("symmetric"), "{message}");
        let empty = Csr::new(0, vec![0], vec![], None).unwrap();
        assert!(FitTarget::new(&empty, hinge, 0.8).is_err());
        let graph = GraphGenerator::Complete {}
            .generate(3, &mut Streams::new(0).stream("graph"))
            .unwrap();
        assert!(FitTarget::new(&graph, hinge, 2.5).is_err());
        let target = FitTarget::new(&graph, hinge, 0.8).unwrap();
        assert!(
            target
                .loss_and_gradient(Array2::zeros((2, 4)).view())
                .is_err()
        );
        assert!(
            target
                .score(Array2::from_elem((3, 4), f64::NAN).view())
                .is_err()
        );
    }
}
