//! Settings of the signatures and codes of one set of modules.

use serde::{Deserialize, Serialize};

/// How signatures start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureStart {
    /// Standard normal: no structure.
    #[default]
    Normal,
    /// All equal to the first unit vector: every link has probability one.
    Complete,
}

/// Settings of a set of modules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatentsConfig {
    /// Whether codes are trained; if not they are saved all the same. Default true.
    pub learnable_codes: bool,
    /// Whether signatures are trained; if not they are saved all the same. Default true.
    pub learnable_signatures: bool,
    /// Whether all modules start with the same code. Default false.
    /// Reference: `init_with_identical_codes`.
    pub identical_codes: bool,
    /// How signatures start: `normal` or `complete`. Default `normal`. Reference: `graph_preset`.
    pub signatures: SignatureStart,
}

impl Default for LatentsConfig {
    fn default() -> Self {
        Self {
            learnable_codes: true,
            learnable_signatures: true,
            identical_codes: false,
            signatures: SignatureStart::Normal,
        }
    }
}
