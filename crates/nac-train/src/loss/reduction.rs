//! How many numbers become one.

use serde::{Deserialize, Serialize};

/// How the numbers of a term become its value.
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
