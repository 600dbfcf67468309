//! Complete graph: every module attends to every module.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, check_modules};
use crate::CoreError;

/// Every link has probability 1. No parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {}

impl GraphPrior for Complete {
    fn name(&self) -> &str {
        "complete"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_modules("Complete", n)?;
        Ok(Array2::ones((n, n)))
    }
}
