//! Erdős–Rényi graph: every link is equally likely.
//!
//! The authors' code has no such prior as a regulariser, only for fits of initial signatures; this uniform graphon is
//! the usual definition, and its diagonal is `p` as well.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, check_modules, check_probability};
use crate::CoreError;

/// Every link has probability `p`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErdosRenyi {
    /// Link probability. Default 0.1.
    pub p: f64,
}

impl Default for ErdosRenyi {
    fn default() -> Self {
        Self { p: 0.1 }
    }
}

impl GraphPrior for ErdosRenyi {
    fn name(&self) -> &str {
        "erdos-renyi"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_modules("ErdosRenyi", n)?;
        check_probability("ErdosRenyi", "p", self.p)?;
        Ok(Array2::from_elem((n, n), self.p))
    }
}
