//! `[loss]`: label smoothing and the graph prior.

use nac_core::PriorConfig;
use serde::{Deserialize, Serialize};

/// What is minimized besides plain cross-entropy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Share of the target that is spread over all classes. Default 0; the paper takes 0.1.
    pub label_smoothing: f64,
    /// Draws the circuit's link probabilities towards a prior. Default none. Models without links
    /// (the baseline) leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_prior: Option<GraphPriorConfig>,
}

/// The graph-prior term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphPriorConfig {
    /// The prior, such as `{ name = "scale-free" }`.
    pub prior: PriorConfig,
    /// Weight of the term. Default 0.1.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Steps between new matchings of modules with the prior's nodes. Default 1.
    #[serde(default = "default_refresh")]
    pub refresh_every: u64,
}

impl GraphPriorConfig {
    /// A prior with the default weight.
    pub fn new(prior: PriorConfig) -> Self {
        Self {
            prior,
            weight: default_weight(),
            refresh_every: default_refresh(),
        }
    }
}

fn default_weight() -> f64 {
    0.1
}

fn default_refresh() -> u64 {
    1
}
