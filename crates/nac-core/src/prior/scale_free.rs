//! Scale-free graph: a few hubs, many modules with few links (Barabási–Albert graphon).

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, check_modules};
use crate::CoreError;

/// Link probability `clip(√N / (16·√(i·j)), 0, 1)` with `i`, `j` counted from 1. No parameters: the
/// number of edges a new module brings cancels out of the authors' formula.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleFree {}

impl GraphPrior for ScaleFree {
    fn name(&self) -> &str {
        "scale-free"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_modules("ScaleFree", n)?;
        Ok(Array2::from_shape_fn((n, n), |(i, j)| {
            let ratio = n as f64 / ((i + 1) as f64 * (j + 1) as f64);
            (ratio.sqrt() / 16.0).min(1.0)
        }))
    }
}
