//! Links between modules, computed from signatures once for a model.
//!
//! `log P = −d/ε` is added to the scores; where `P` multiplies the weights after the softmax it may first be divided
//! by its sum over senders. Settings as in [`KernelConfig`]; source: reference `model/nc/kernels.py`.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use crate::config::{EvaluationLinks, KernelConfig};
use crate::engine::blocks::{Blocks, Layout};
use crate::engine::error::{EngineError, Result};
use crate::engine::simd::Row;
use crate::kernel::{LinkKernel, cosine_distance};

/// Probability above which a thresholded link exists.
const THRESHOLD: f32 = 0.5;

/// What attention does with links.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinkSettings {
    pub(crate) kernel: KernelConfig,
    pub(crate) bandwidth: f32,
    /// Added to the scores as logarithms.
    pub(crate) mask: bool,
    /// Multiplied with the weights after the softmax.
    pub(crate) scale: bool,
    /// Whether those are first divided by their sum.
    pub(crate) normalize: bool,
}

/// Links from one set of senders: for each block of receivers, a row for each sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    bias: Option<Arc<Blocks>>,
    factor: Option<Arc<Blocks>>,
}

impl Links {
    pub(crate) fn bias(&self, block: usize) -> Option<&[Row]> {
        self.bias.as_ref().map(|bias| bias.block(block))
    }

    pub(crate) fn factor(&self, block: usize) -> Option<&[Row]> {
        self.factor.as_ref().map(|factor| factor.block(block))
    }
}

/// Links of receivers to sets of senders, by signatures `[modules, signature]`. Empty if links do not matter.
pub(crate) fn links(
    settings: &LinkSettings,
    receivers: ArrayView2<'_, f32>,
    senders: &[ArrayView2<'_, f32>],
) -> Result<Vec<Links>> {
    if !settings.mask && !settings.scale {
        return Ok(Vec::new());
    }
    let all = concatenate(Axis(0), senders).map_err(|error| EngineError::Other(error.to_string()))?;
    let log = log_links(&settings.kernel, settings.bandwidth, receivers, all.view())?;
    let factor = settings.scale.then(|| factors(&log, settings.normalize));
    let mut first = 0;
    let cut = |of: &Array2<f32>, first: usize, count: usize| {
        let part = of.slice(s![.., first..first + count]);
        // No padding between senders: a row is a sender, and there are as many rows as senders.
        Arc::new(Blocks::from_items(part, Layout::exact(count)))
    };
    Ok(senders
        .iter()
        .map(|set| {
            let count = set.nrows();
            let links = Links {
                bias: settings.mask.then(|| cut(&log, first, count)),
                factor: factor.as_ref().map(|factor| cut(factor, first, count)),
            };
            first += count;
            links
        })
        .collect())
}

/// Links from their logarithms, divided by their sum over senders if `normalize`; `[receivers, senders]`.
pub(crate) fn factors(log: &Array2<f32>, normalize: bool) -> Array2<f32> {
    let mut factor = log.mapv(|x| x.exp().min(1.0));
    if normalize {
        for mut row in factor.axis_iter_mut(Axis(0)) {
            let sum = row.sum();
            if sum > 0.0 {
                row.mapv_inplace(|x| x / sum);
            }
        }
    }
    factor
}

/// Logarithms of links in evaluation, `[receivers, senders]`.
pub(crate) fn log_links(
    config: &KernelConfig,
    bandwidth: f32,
    receivers: ArrayView2<'_, f32>,
    senders: ArrayView2<'_, f32>,
) -> Result<Array2<f32>> {
    let mut kernel = LinkKernel::new(f64::from(bandwidth))?
        .with_eliminate_diagonal(config.eliminate_diagonal);
    if let Some(truncation) = config.truncation {
        kernel = kernel.with_truncation(truncation)?;
    }
    let log = kernel.log_link_probability(cosine_distance(receivers, senders)?.view())?;
    match config.evaluation {
        _ if !config.stochastic => Ok(log),
        EvaluationLinks::NoSample => Ok(log),
        EvaluationLinks::Threshold => Ok(log.mapv(|x| {
            if x > THRESHOLD.ln() {
                0.0
            } else {
                f32::NEG_INFINITY
            }
        })),
        EvaluationLinks::Sample => {
            let reason = "links drawn anew for each input need a source of noise";
            let setting = "kernel.evaluation";
            Err(EngineError::unsupported(setting, config.evaluation, reason))
        }
    }
}
