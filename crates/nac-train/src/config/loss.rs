//! `[loss]`: label smoothing, the graph prior and the terms on signatures.

use nac_core::PriorConfig;
use serde::{Deserialize, Serialize};

use crate::loss::{ModuleGroups, PriorLoss, Reduction};
use crate::scheduled::ScheduledValue;

/// What is minimized besides plain cross-entropy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Share of the target that is spread over all classes. Default 0; the paper takes 0.1.
    pub label_smoothing: f64,
    /// Draws the circuit's link probabilities towards a prior. Default none. Models without links
    /// (the baseline) leave it out, as all terms on signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_prior: Option<GraphPriorConfig>,
    /// Pushes close signatures apart. Default none; older configurations of the paper's code have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_repulsion: Option<SignatureRepulsionConfig>,
    /// Keeps the distances between signatures distributed as at the start. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_distribution: Option<SignatureDistributionConfig>,
    /// Keeps circuits of different texts apart, for a conditional generator; all other models leave it out. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_spread: Option<CircuitSpreadConfig>,
}

/// The spread of circuits of different texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitSpreadConfig {
    /// Weight of the term, constant or changing over the run. Default 0.1.
    pub weight: ScheduledValue,
    /// Mean squared difference of signatures and of codes below which two circuits are too close. Those of modules are
    /// standard normal at the start, so different modules differ by 2. Default 0.1.
    pub hinge: f64,
    /// Sets of modules. Default `["processors", "read_out"]`.
    pub modules: ModuleGroups,
}

impl Default for CircuitSpreadConfig {
    fn default() -> Self {
        Self {
            weight: default_weight(),
            hinge: 0.1,
            modules: ModuleGroups::PROCESSORS_AND_READ_OUT,
        }
    }
}

/// The graph-prior term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphPriorConfig {
    /// The prior, such as `{ name = "scale-free" }`.
    pub prior: PriorConfig,
    /// Weight of the term, constant or changing over the run. Default 0.1.
    #[serde(default = "default_weight")]
    pub weight: ScheduledValue,
    /// Steps between new matchings of modules with the prior's nodes. Default 1.
    #[serde(default = "default_refresh")]
    pub refresh_every: u64,
    /// `mse`, squared difference of link probabilities, or `kl`, divergence from the prior's links.
    /// Default `mse`.
    #[serde(default)]
    pub loss_type: PriorLoss,
    /// Least value of each link in the term; links below it are left alone. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Scale of normal noise that links are multiplied by (`1 + scale · n`) for the matching. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplicative_matching_noise: Option<f64>,
    /// Sets of modules: some of `read_in`, `processors`, `read_out`. Default `["processors"]`.
    #[serde(default = "default_modules")]
    pub modules: ModuleGroups,
}

/// The repulsion of signatures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureRepulsionConfig {
    /// Weight of the term, constant or changing over the run. Default 0.1.
    pub weight: ScheduledValue,
    /// Cosine distance below which two signatures are too close, in `(0, 2]`. Default 0.4.
    pub hinge: f64,
    /// Distance above which a pair does not count, in `[0, 2]`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
    /// `sum`, `mean` or `max` of the distances that count. Default `mean`.
    pub reduction: Reduction,
    /// Sets of modules. Default all: `["read_in", "processors", "read_out"]`.
    pub modules: ModuleGroups,
}

impl Default for SignatureRepulsionConfig {
    fn default() -> Self {
        Self {
            weight: default_weight(),
            hinge: 0.4,
            truncation: None,
            reduction: Reduction::Mean,
            modules: ModuleGroups::ALL,
        }
    }
}

/// The distribution of signature distances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureDistributionConfig {
    /// Weight of the term, constant or changing over the run. Default 0.1.
    pub weight: ScheduledValue,
    /// Components of the mixture. Default 1.
    pub components: usize,
    /// `sum`, `mean` or `max` over pairs. Default `mean`.
    pub reduction: Reduction,
    /// Sets of modules. Default all: `["read_in", "processors", "read_out"]`.
    pub modules: ModuleGroups,
}

impl Default for SignatureDistributionConfig {
    fn default() -> Self {
        Self {
            weight: default_weight(),
            components: 1,
            reduction: Reduction::Mean,
            modules: ModuleGroups::ALL,
        }
    }
}

impl GraphPriorConfig {
    /// A prior with the default settings.
    pub fn new(prior: PriorConfig) -> Self {
        Self {
            prior,
            weight: default_weight(),
            refresh_every: default_refresh(),
            loss_type: PriorLoss::default(),
            clip: None,
            multiplicative_matching_noise: None,
            modules: default_modules(),
        }
    }
}

fn default_weight() -> ScheduledValue {
    ScheduledValue::Constant(0.1)
}

fn default_refresh() -> u64 {
    1
}

fn default_modules() -> ModuleGroups {
    ModuleGroups::PROCESSORS
}
