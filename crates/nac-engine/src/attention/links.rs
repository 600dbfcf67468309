//! Links between modules, computed from signatures once for a model.
//!
//! `log P = −d/ε` is added to the scores; where `P` multiplies the weights after the softmax it may first be divided
//! by its sum over senders. Settings as in [`KernelConfig`]; source: reference `model/nc/kernels.py`.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use crate::blocks::{Blocks, Layout};
use crate::error::{EngineError, Result};
use crate::simd::Row;
use nac_core::kernel::{LinkKernel, cosine_distance};
use nac_core::model::{EvaluationLinks, KernelConfig};

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

impl LinkSettings {
    /// Whether a receiver may have fewer senders than there are.
    pub(crate) fn cuts(&self) -> bool {
        self.mask && self.kernel.may_cut()
    }

    pub(super) fn link_kernel(&self) -> Result<LinkKernel> {
        link_kernel(&self.kernel, self.bandwidth)
    }

    /// Whether links are probabilities or exist where these are above one half.
    pub(super) fn thresholds(&self) -> Result<bool> {
        thresholds(&self.kernel)
    }
}

fn link_kernel(config: &KernelConfig, bandwidth: f32) -> Result<LinkKernel> {
    let kernel =
        LinkKernel::new(f64::from(bandwidth))?.with_eliminate_diagonal(config.eliminate_diagonal);
    Ok(match config.truncation {
        Some(truncation) => kernel.with_truncation(truncation)?,
        None => kernel,
    })
}

fn thresholds(config: &KernelConfig) -> Result<bool> {
    match config.evaluation {
        EvaluationLinks::Threshold => Ok(config.stochastic),
        EvaluationLinks::Sample if config.stochastic => {
            let reason = "links drawn anew for each input need a source of noise";
            let setting = "kernel.evaluation";
            Err(EngineError::unsupported(setting, config.evaluation, reason))
        }
        EvaluationLinks::Sample | EvaluationLinks::NoSample => Ok(false),
    }
}

/// Links from one set of senders: for each block of receivers, a row for each sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    bias: Option<Arc<Blocks>>,
    factor: Option<Arc<Blocks>>,
    cut: bool,
}

impl Links {
    /// Whether some links are not there.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Logarithms to base 2.
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
    let all =
        concatenate(Axis(0), senders).map_err(|error| EngineError::Other(error.to_string()))?;
    let log = log_links(&settings.kernel, settings.bandwidth, receivers, all.view())?;
    let counts: Vec<usize> = senders.iter().map(ArrayView2::nrows).collect();
    Ok(from_logs(settings, &log, &counts))
}

/// The same from logarithms of links, `[receivers, senders]`; `counts`: senders of each set.
pub(super) fn from_logs(
    settings: &LinkSettings,
    log: &Array2<f32>,
    counts: &[usize],
) -> Vec<Links> {
    let factor = settings.scale.then(|| factors(log, settings.normalize));
    let is_cut = log.iter().any(|x| *x == f32::NEG_INFINITY);
    // Softmax takes powers of two.
    let log = log.mapv(|x| x * std::f32::consts::LOG2_E);
    let mut first = 0;
    let cut = |of: &Array2<f32>, first: usize, count: usize| {
        let part = of.slice(s![.., first..first + count]);
        // No padding between senders: a row is a sender, and there are as many rows as senders.
        Arc::new(Blocks::from_items(part, Layout::exact(count)))
    };
    counts
        .iter()
        .map(|&count| {
            let links = Links {
                bias: settings.mask.then(|| cut(&log, first, count)),
                factor: factor.as_ref().map(|factor| cut(factor, first, count)),
                cut: is_cut,
            };
            first += count;
            links
        })
        .collect()
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
    let kernel = link_kernel(config, bandwidth)?;
    let thresholds = thresholds(config)?;
    let mut log = kernel.log_link_probability(cosine_distance(receivers, senders)?.view())?;
    if thresholds {
        log.mapv_inplace(thresholded);
    }
    Ok(log)
}

/// Whether a link exists, as its logarithm.
pub(super) fn thresholded(log: f32) -> f32 {
    if log > THRESHOLD.ln() {
        0.0
    } else {
        f32::NEG_INFINITY
    }
}
