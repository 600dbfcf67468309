//! Watts–Strogatz small world: a ring of near neighbours with some links rewired at random.
//!
//! The graphon of the authors' code fails as released; with its one broken line fixed it links a
//! module to the positions `−⌊k/2⌋ … ⌊k/2⌋ − 1` around it, which is not symmetric. The default
//! here takes the whole neighbourhood `−⌊k/2⌋ … ⌊k/2⌋`; `symmetric = false` gives the former.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, check_modules, check_probability};
use crate::CoreError;

/// Near neighbours on a ring (and the module itself) have link probability `1 − p`, all others
/// `p·k/N`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WattsStrogatz {
    /// Number of near neighbours, half on each side (an odd one is rounded down). Default 32.
    pub k: usize,
    /// Probability that a link is rewired. Default 0.4.
    pub p: f64,
    /// Whether to include the farthest neighbour on both sides, which makes the graphon symmetric.
    /// Default true.
    pub symmetric: bool,
}

impl Default for WattsStrogatz {
    fn default() -> Self {
        Self {
            k: 32,
            p: 0.4,
            symmetric: true,
        }
    }
}

impl GraphPrior for WattsStrogatz {
    fn name(&self) -> &str {
        "watts-strogatz"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_modules("WattsStrogatz", n)?;
        check_probability("WattsStrogatz", "p", self.p)?;
        if self.k >= n {
            let expected = "less than the number of modules";
            return Err(CoreError::parameter("WattsStrogatz", "k", self.k, expected));
        }
        let half = self.k / 2;
        let ahead_limit = if self.symmetric { half + 1 } else { half };
        let (near, far) = (1.0 - self.p, self.p * self.k as f64 / n as f64);
        Ok(Array2::from_shape_fn((n, n), |(i, j)| {
            let ahead = (j + n - i) % n;
            if ahead < ahead_limit || ahead >= n - half {
                near
            } else {
                far
            }
        }))
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Six modules on a ring, the row of the first: itself and its neighbours have `1 − p`, others `p·k/n`.
    #[test]
    fn the_symmetric_graphon_adds_the_farthest_neighbour_ahead() {
        let row = |symmetric| {
            let prior = WattsStrogatz {
                k: 2,
                p: 0.25,
                symmetric,
            };
            prior.link_probabilities(6).unwrap().row(0).to_vec()
        };
        let (near, far) = (0.75, 0.25 * 2.0 / 6.0);
        assert_eq!(row(true), [near, near, far, far, far, near]);
        assert_eq!(row(false), [near, far, far, far, far, near]);
    }
}
