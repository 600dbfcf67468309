//! The dtypes that weights are measured in.

use clap::ValueEnum;
use serde::Serialize;

/// Precision of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers.
    Int8,
}
