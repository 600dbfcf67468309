//! Reductions of a term's values to a scalar.

use serde::{Deserialize, Serialize};

/// How the values of a term are reduced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    #[default]
    Mean,
    /// The greatest.
    Max,
}
