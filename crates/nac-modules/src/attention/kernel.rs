//! From signatures to links: distance, link probability, and what attention adds to its scores.
//!
//! `d_ij = 1 − cos(s_i, s_j)`, `P_ij = exp(−d_ij / ε)`. In training links are drawn from the relaxed
//! Bernoulli distribution of `P`, anew for each example and layer, shared by the heads; in evaluation
//! `log P` itself is used unless asked otherwise. Source: paper section on SKMDPA; reference
//! `model/nc/kernels.py`. [`nac_core::kernel`] is the same on plain arrays.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::sample_log_links;
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::params::{Init, Scope};
use crate::shape;

/// What stands in for sampled links in evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationLinks {
    /// The link probabilities themselves.
    #[default]
    NoSample,
    /// Samples, as in training.
    Sample,
}

/// Settings of a [`SignatureKernel`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelConfig {
    /// Bandwidth `ε` of the link probability. Default 1.
    ///
    /// Distances lie in `[0, 2]`, so no link is less likely than `exp(−2/ε)`: 0.135 at the default.
    pub bandwidth: f64,
    /// Whether `ε` is trained. Default false.
    pub learnable_bandwidth: bool,
    /// Whether links are sampled in training. Default true.
    pub stochastic: bool,
    /// Temperature `τ` of the relaxed samples. Default 0.5.
    pub temperature: f64,
    /// Links in evaluation. Default `no_sample`.
    pub evaluation: EvaluationLinks,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            bandwidth: 1.0,
            learnable_bandwidth: false,
            stochastic: true,
            temperature: 0.5,
            evaluation: EvaluationLinks::NoSample,
        }
    }
}

/// Turns signatures into link probabilities. Buffer or parameter `bandwidth`, `[]`.
#[derive(Debug)]
pub struct SignatureKernel {
    bandwidth: Tensor,
    config: KernelConfig,
    name: String,
}

impl SignatureKernel {
    /// A kernel.
    ///
    /// # Errors
    /// Bandwidth or temperature is not positive, or the name is taken.
    pub fn new(mut scope: Scope<'_>, config: &KernelConfig) -> Result<Self> {
        for (name, value) in [
            ("bandwidth", config.bandwidth),
            ("temperature", config.temperature),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(ModuleError::Setting {
                    name: name.into(),
                    value: value.to_string(),
                    reason: "must be a positive number".into(),
                });
            }
        }
        let start = Init::Constant(config.bandwidth);
        let bandwidth = if config.learnable_bandwidth {
            scope.parameter("bandwidth", &[], start)?
        } else {
            scope.buffer("bandwidth", &[], start)?
        };
        Ok(Self {
            bandwidth,
            config: config.clone(),
            name: scope.path().to_owned(),
        })
    }

    /// Cosine distance of each receiver to each sender.
    ///
    /// # Shapes
    /// - receivers: `[receivers, dim]` or `[batch, receivers, dim]`
    /// - senders: `[senders, dim]` or `[batch, senders, dim]`
    /// - output: `[receivers, senders]` or, if either is batched, `[batch, receivers, senders]`
    ///
    /// # Errors
    /// The signatures have different dimensions or batches.
    pub fn distance(&self, receivers: &Tensor, senders: &Tensor) -> Result<Tensor> {
        let (r, s) = (receivers.size(), senders.size());
        let ranks_fit = (2..=3).contains(&r.len()) && (2..=3).contains(&s.len());
        if !ranks_fit || r.last() != s.last() || (r.len() == 3 && s.len() == 3 && r[0] != s[0]) {
            return Err(ModuleError::Shape {
                op: "SignatureKernel",
                name: "sender signatures".into(),
                expected: format!(
                    "[senders, dim] or [batch, senders, dim] to go with receivers {r:?}"
                ),
                found: s,
            });
        }
        Ok(1.0 - unit(receivers).matmul(&unit(senders).transpose(-2, -1)))
    }

    /// Logarithm of the link probability, `−d / ε`.
    ///
    /// # Shapes
    /// As [`distance`](Self::distance).
    ///
    /// # Errors
    /// As [`distance`](Self::distance).
    pub fn log_link_probability(&self, receivers: &Tensor, senders: &Tensor) -> Result<Tensor> {
        Ok(-self.distance(receivers, senders)? / &self.bandwidth)
    }

    /// What attention adds to its scores: log samples in training, log probabilities in evaluation.
    ///
    /// # Shapes
    /// - receivers: `[receivers, dim]` or `[batch, receivers, dim]`
    /// - senders: `[senders, dim]` or `[batch, senders, dim]`
    /// - output: `[batch or 1, 1, receivers, senders]`, to be broadcast over heads
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn forward(
        &self,
        receivers: &Tensor,
        senders: &Tensor,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let log_probability = self.log_link_probability(receivers, senders)?;
        ctx.record(
            &format!("{}.log_link_probability", self.name),
            &log_probability,
        );
        let sampled = self.config.stochastic
            && (ctx.is_training() || self.config.evaluation == EvaluationLinks::Sample);
        let log_links = if sampled {
            let size = log_probability.size();
            let draws = [batch, size[size.len() - 2], size[size.len() - 1]];
            let uniform = ctx.uniform(
                &self.name,
                &draws,
                log_probability.kind(),
                log_probability.device(),
            )?;
            sample_log_links(&log_probability, &uniform, self.config.temperature)
        } else {
            log_probability
        };
        Ok(if log_links.dim() == 2 {
            log_links.unsqueeze(0).unsqueeze(0)
        } else {
            log_links.unsqueeze(1)
        })
    }

    /// Settings of this kernel.
    pub fn config(&self) -> &KernelConfig {
        &self.config
    }
}

/// Rows scaled to length one; a zero row stays zero.
fn unit(signatures: &Tensor) -> Tensor {
    let norm = signatures
        .square()
        .sum_dim_intlist([-1].as_slice(), true, None::<Kind>)
        .sqrt();
    signatures / norm.clamp_min(1e-12)
}

/// A set of modules connected through a kernel: what a graph prior regularises and a plot shows.
#[derive(Debug)]
pub struct SignatureGraph<'a> {
    /// Name of the set of modules.
    pub name: String,
    /// The kernel its links come from.
    pub kernel: &'a SignatureKernel,
    /// Signatures, `[modules, dim]`, attached to the model's parameters.
    pub signatures: Tensor,
}

impl SignatureGraph<'_> {
    /// Link probabilities between all modules, differentiable, not above 1.
    ///
    /// # Shapes
    /// - output: `[modules, modules]`
    ///
    /// # Errors
    /// The signatures are not `[modules, dim]`.
    pub fn link_probabilities(&self) -> Result<Tensor> {
        shape::check(
            "SignatureGraph",
            "signatures",
            &self.signatures,
            &[("modules", None), ("dim", None)],
        )?;
        Ok(self
            .kernel
            .log_link_probability(&self.signatures, &self.signatures)?
            .exp()
            .clamp_max(1.0))
    }
}
