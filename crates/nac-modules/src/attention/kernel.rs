//! From signatures to links: distance, link probability, and what attention does with them.
//!
//! `d_ij = 1 − cos(s_i, s_j)`, `P_ij = exp(−d_ij / ε)`, zero beyond the truncation if there is one. In
//! training links are drawn from the relaxed Bernoulli distribution of `P`, anew for each example and
//! layer, shared by the heads; in evaluation `P` itself is used unless asked otherwise. Source: paper
//! section on SKMDPA; reference `model/nc/kernels.py`. [`nac_core::kernel`] is the same on plain arrays.
//!
//! Where the reference fails, this differs: link probabilities are not above 1 (rounding takes the
//! reference to 1 + 4e-7); sampled links outside the logarithm are the exponential of the sampled
//! logarithms (the reference samples from `exp(P)`, so that every link is on); and a receiver all of
//! whose links are truncated has an empty row, which gives a zero message and not NaN. Such a row keeps its
//! self link where receivers and senders are the same in number and self links are not eliminated.

use std::cell::Cell;

use nac_core::model::spec::KernelSpec;
use tch::{Device, Tensor};

use super::distance::{cosine_distance, diagonal};
use super::pass_links::Request;
use super::sampling::{link_logit, relax_links};
use super::{EvaluationLinks, KernelConfig, Truncation};
use crate::autocast;
use crate::cached::Cached;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::LinkSource;
use crate::params::{Init, Scope};

/// Probability above which a thresholded link exists.
const THRESHOLD: f64 = 0.5;

/// Turns signatures into link probabilities. Buffer or parameter `bandwidth`, `[]`.
#[derive(Debug)]
pub struct SignatureKernel {
    bandwidth: Tensor,
    /// The bandwidth as a number, with the version of the tensor it was read from.
    read_bandwidth: Cell<Option<(i64, f64)>>,
    config: KernelConfig,
    name: String,
    /// Log link probabilities of the signatures that were asked for last, in evaluation.
    kept: Cached,
}

impl SignatureKernel {
    /// The kernel of `spec`.
    ///
    /// # Errors
    /// The name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &KernelSpec) -> Result<Self> {
        let (mut scope, config) = (scope.sub(&spec.path), &spec.config);
        let start = Init::Constant(config.bandwidth);
        let bandwidth = scope.tensor("bandwidth", &[], start, config.learnable_bandwidth)?;
        Ok(Self {
            bandwidth,
            read_bandwidth: Cell::new(None),
            config: config.clone(),
            name: scope.path().to_owned(),
            kept: Cached::default(),
        })
    }

    /// The same kernel: both share the bandwidth.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self {
            bandwidth: self.bandwidth.shallow_clone(),
            read_bandwidth: self.read_bandwidth.clone(),
            config: self.config.clone(),
            name: self.name.clone(),
            kept: Cached::default(),
        }
    }

    /// Cosine distance of each receiver to each sender, infinite on an eliminated diagonal.
    ///
    /// Signatures of less than single precision are measured in single precision.
    ///
    /// # Shapes
    /// - receivers: `[receivers, dim]` or `[batch, receivers, dim]`
    /// - senders: `[senders, dim]` or `[batch, senders, dim]`
    /// - output: `[receivers, senders]` or, if either is batched, `[batch, receivers, senders]`
    ///
    /// # Errors
    /// The signatures have different dimensions or batches, or the diagonal is to be eliminated and there
    /// are not as many receivers as senders.
    pub fn distance(&self, receivers: &Tensor, senders: &Tensor) -> Result<Tensor> {
        let distance = cosine_distance(receivers, senders, self.config.eliminate_diagonal)?;
        Ok(if self.config.eliminate_diagonal {
            distance.f_masked_fill(&diagonal(&distance), f64::INFINITY)?
        } else {
            distance
        })
    }

    /// Logarithm of the link probability, `−d / ε`; `−∞` where there is no link.
    ///
    /// # Shapes
    /// As [`distance`](Self::distance).
    ///
    /// # Errors
    /// As [`distance`](Self::distance).
    pub fn log_link_probability(&self, receivers: &Tensor, senders: &Tensor) -> Result<Tensor> {
        let untruncated = self.untruncated(receivers, senders)?;
        let masks = [untruncated.far, untruncated.diagonal];
        let none = f64::NEG_INFINITY;
        Ok(masks
            .iter()
            .flatten()
            .fold(untruncated.log_probability, |log, mask| {
                log.masked_fill(mask, none)
            }))
    }

    /// Link probability in `[0, 1]`, 0 where there is no link.
    ///
    /// # Shapes
    /// As [`distance`](Self::distance).
    ///
    /// # Errors
    /// As [`distance`](Self::distance).
    pub fn link_probability(&self, receivers: &Tensor, senders: &Tensor) -> Result<Tensor> {
        let untruncated = self.untruncated(receivers, senders)?;
        let mut probability =
            straight_through(&untruncated.log_probability.exp(), |p| p.clamp_max(1.0));
        if let Some(far) = untruncated.far {
            let truncate = |p: &Tensor| p.masked_fill(&far, 0.0);
            let masked = self.config.truncation_implementation == Truncation::Masked;
            probability = if masked && self.config.straight_through {
                straight_through(&probability, truncate)
            } else {
                truncate(&probability)
            };
        }
        Ok(match untruncated.diagonal {
            Some(diagonal) => probability.masked_fill(&diagonal, 0.0),
            None => probability,
        })
    }

    /// Logarithms of links: sampled in training, log probabilities in evaluation unless configured
    /// otherwise. What attention adds to its scores.
    ///
    /// # Shapes
    /// - receivers: `[receivers, dim]` or `[batch, receivers, dim]`
    /// - senders: `[senders, dim]` or `[batch, senders, dim]`
    /// - output: `[batch, receivers, senders]` if sampled for a `batch` or if signatures are batched,
    ///   else `[receivers, senders]`
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn log_links(
        &self,
        receivers: &Tensor,
        senders: &Tensor,
        batch: Option<i64>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        match self.drawn_links(receivers, senders, batch, ctx)? {
            LinkSource::Given(log_links) => Ok(log_links),
            LinkSource::Sampled {
                logit,
                uniform,
                temperature,
            } => relax_links(&logit, &uniform, temperature, ctx),
        }
    }

    /// What [`log_links`](Self::log_links) are computed from: themselves, or the draws of a sample.
    pub(super) fn drawn_links(
        &self,
        receivers: &Tensor,
        senders: &Tensor,
        batch: Option<i64>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<LinkSource> {
        let index = self.link_index(receivers, senders, ctx)?;
        let log_probability = ctx.links().log_probability(index);
        ctx.record(
            &format!("{}.log_link_probability", self.name),
            &log_probability,
        );
        match self.mode(ctx) {
            EvaluationLinks::NoSample => Ok(LinkSource::Given(log_probability)),
            EvaluationLinks::Sample => {
                let logit = match ctx.links().logit(index) {
                    Some(logit) => logit,
                    None => {
                        let logit = ctx.detached_leaf(&link_logit(&log_probability)?)?;
                        ctx.links().set_logit(index, &logit);
                        logit
                    }
                };
                self.sample(logit, batch, ctx)
            }
            EvaluationLinks::Threshold => {
                let on = log_probability.gt(THRESHOLD.ln());
                let none = f64::NEG_INFINITY;
                let zeros = log_probability.zeros_like();
                Ok(LinkSource::Given(
                    zeros.masked_fill(&on.logical_not(), none),
                ))
            }
        }
    }

    /// Where the pass keeps the link probabilities of these signatures; computes them if no layer did before.
    fn link_index(
        &self,
        receivers: &Tensor,
        senders: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<usize> {
        let request = Request {
            receivers,
            senders,
            config: &self.config,
            bandwidth: &self.bandwidth,
            fixed_bandwidth: self.fixed_bandwidth()?,
        };
        if let Some(index) = ctx.links().find(&request) {
            return Ok(index);
        }
        let log_probability = if ctx.is_training() {
            self.kept.clear();
            autocast::single_precision(|| self.log_link_probability(receivers, senders))?
        } else {
            let sources = [receivers, senders, &self.bandwidth];
            let compute =
                || autocast::single_precision(|| self.log_link_probability(receivers, senders));
            self.kept.get(&sources, compute)?
        };
        let log_probability = ctx.detached_leaf(&log_probability)?;
        Ok(ctx.links().add(&request, &log_probability))
    }

    /// Log links that attention can add to its scores, and which receivers have any link at all, `[receivers, 1]` or
    /// `[batch, receivers, 1]`: those of a receiver without any are zeros. `None`: all have links.
    ///
    /// `log_links` are those of the same signatures in the same pass.
    pub(super) fn connected(
        &self,
        log_links: Tensor,
        (receivers, senders): (&Tensor, &Tensor),
        ctx: &mut ForwardContext<'_>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        if !self.config.may_cut() || self.mode(ctx) == EvaluationLinks::Sample {
            return Ok((log_links, None));
        }
        let index = self.link_index(receivers, senders, ctx)?;
        if let Some(known) = ctx.links().connected(index) {
            return Ok(known);
        }
        let found = connected(&log_links)?;
        ctx.links().set_connected(index, &found);
        Ok(found)
    }

    /// The bandwidth as a number if it is not trained; read again when the tensor has changed.
    fn fixed_bandwidth(&self) -> Result<Option<f64>> {
        if self.config.learnable_bandwidth {
            return Ok(None);
        }
        let version = self.bandwidth.f_internal_version()?;
        let value = match self.read_bandwidth.get() {
            Some((read, value)) if read == version => value,
            _ => self.bandwidth.f_double_value(&[])?,
        };
        self.read_bandwidth.set(Some((version, value)));
        Ok(Some(value))
    }

    /// Links in `[0, 1]`: the exponential of [`log_links`](Self::log_links), with the gradient that
    /// `truncation_implementation` asks for. What attention multiplies its weights by.
    ///
    /// # Shapes
    /// As [`log_links`](Self::log_links).
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn links(
        &self,
        receivers: &Tensor,
        senders: &Tensor,
        batch: Option<i64>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let log_links = self.log_links(receivers, senders, batch, ctx)?;
        self.links_of(&log_links, receivers, senders, ctx)
    }

    /// The links whose logarithms [`log_links`](Self::log_links) gave in the same pass.
    pub(super) fn links_of(
        &self,
        log_links: &Tensor,
        receivers: &Tensor,
        senders: &Tensor,
        ctx: &ForwardContext<'_>,
    ) -> Result<Tensor> {
        match self.mode(ctx) {
            EvaluationLinks::NoSample => self.link_probability(receivers, senders),
            EvaluationLinks::Sample | EvaluationLinks::Threshold => Ok(log_links.exp()),
        }
    }

    /// Settings of this kernel.
    pub fn config(&self) -> &KernelConfig {
        &self.config
    }

    /// What happens to probabilities in this pass.
    fn mode(&self, ctx: &ForwardContext<'_>) -> EvaluationLinks {
        match (self.config.stochastic, ctx.is_training()) {
            (false, _) => EvaluationLinks::NoSample,
            (true, true) => EvaluationLinks::Sample,
            (true, false) => self.config.evaluation,
        }
    }

    fn sample(
        &self,
        logit: Tensor,
        batch: Option<i64>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<LinkSource> {
        let mut size = logit.size();
        if let (2, Some(batch)) = (size.len(), batch) {
            size.insert(0, batch);
        }
        let (kind, device) = (logit.kind(), logit.device());
        let uniform = match size.len() {
            3 => ctx.uniform_per_example(&self.name, &size, kind, device)?,
            _ => ctx.uniform(&self.name, &size, kind, device)?,
        };
        Ok(LinkSource::Sampled {
            logit,
            uniform,
            temperature: self.config.temperature,
        })
    }

    fn untruncated(&self, receivers: &Tensor, senders: &Tensor) -> Result<Untruncated> {
        let distance = cosine_distance(receivers, senders, self.config.eliminate_diagonal)?;
        let size = distance.size();
        let square = size[size.len() - 2] == size[size.len() - 1];
        let eliminate = self.config.eliminate_diagonal;
        let far = self.config.truncation.map(|limit| {
            let far = distance.gt(limit);
            if square && !eliminate {
                let kept = diagonal(&distance).logical_and(&far.all_dim(-1, true));
                far.logical_and(&kept.logical_not())
            } else {
                far
            }
        });
        let diagonal = eliminate.then(|| diagonal(&distance));
        let bandwidth = self.bandwidth.to_kind(distance.kind());
        Ok(Untruncated {
            log_probability: -distance / bandwidth,
            far,
            diagonal,
        })
    }
}

/// Log links with zeros for receivers without any link, and which have one; `None` if it is known that all have.
fn connected(log_links: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let empty = log_links.f_isneginf()?.f_all_dim(-1, true)?;
    // On other devices asking would wait for all that was queued before.
    if empty.device() == Device::Cpu && !bool::try_from(empty.f_any()?)? {
        return Ok((log_links.shallow_clone(), None));
    }
    let finite = log_links.f_masked_fill(&empty, 0.0)?;
    let connected = empty.f_logical_not()?.f_to_kind(log_links.kind())?;
    Ok((finite, Some(connected)))
}

/// Log link probabilities, and the masks of the links that truncation and diagonal take away.
struct Untruncated {
    /// `−d / ε`.
    log_probability: Tensor,
    /// True beyond the truncation.
    far: Option<Tensor>,
    /// True on a diagonal to be eliminated, `[receivers, senders]`.
    diagonal: Option<Tensor>,
}

/// The value of `change(x)` with the gradient of `x`.
fn straight_through(x: &Tensor, change: impl Fn(&Tensor) -> Tensor) -> Tensor {
    x + tch::no_grad(|| change(x) - x)
}

#[cfg(test)]
mod tests {
    use super::super::{normalize_links, normalize_log_links};
    use super::*;
    use crate::params::ParamStore;
    use tch::Kind;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn kernel(config: KernelConfig) -> SignatureKernel {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 0);
        let spec = config.resolve("kernel").unwrap();
        SignatureKernel::new(&mut store.root(), &spec).unwrap()
    }

    fn rows(rows: &[[f64; 2]]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([-1, 2])
    }

    fn links(kernel: &SignatureKernel, receivers: &Tensor, senders: &Tensor) -> Vec<f64> {
        let mut ctx = ForwardContext::evaluation();
        let links = kernel.links(receivers, senders, Some(2), &mut ctx).unwrap();
        assert_eq!(links.kind(), Kind::Double);
        Vec::try_from(links.flatten(0, -1)).unwrap()
    }

    #[test]
    fn probabilities_are_not_above_one_in_any_precision() {
        let kernel = kernel(KernelConfig::default());
        for kind in [Kind::BFloat16, Kind::Float, Kind::Double] {
            let signatures = Tensor::randn([40, 16], DOUBLE).to_kind(kind);
            let p = kernel.link_probability(&signatures, &signatures).unwrap();
            assert!(p.max().double_value(&[]) <= 1.0);
            let diagonal = p.diagonal(0, 0, 1);
            assert!((diagonal - 1.0).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn a_row_without_links_stays_empty_or_keeps_its_self_link() {
        let config = KernelConfig {
            truncation: Some(0.5),
            stochastic: false,
            ..Default::default()
        };
        let truncated = kernel(config.clone());
        // A zero signature is at distance 1 from everything, itself too.
        let zero = rows(&[[0.0, 0.0], [1.0, 0.0]]);
        let square = links(&truncated, &zero, &zero);
        assert_eq!(square[1..], [0.0, 0.0, 1.0]);
        assert!((square[0] - (-1.0_f64).exp()).abs() < 1e-12);
        let three = rows(&[[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        let one = rows(&[[-1.0, -1.0]]);
        let wide = truncated
            .log_link_probability(&one, &three.narrow(0, 1, 2))
            .unwrap();
        for normalised in [
            normalize_log_links(&wide).exp(),
            normalize_links(&wide.exp()),
        ] {
            assert_eq!(
                Vec::<f64>::try_from(normalised.view([2])).unwrap(),
                [0.0, 0.0]
            );
        }
        let eliminating = kernel(KernelConfig {
            eliminate_diagonal: true,
            ..config
        });
        assert_eq!(links(&eliminating, &zero, &zero), [0.0; 4]);
        let error = eliminating.distance(&one, &three).unwrap_err().to_string();
        assert!(error.contains("diagonal"), "{error}");
    }

    #[test]
    fn thresholded_links_are_zero_or_one_and_have_no_gradient() {
        let threshold = kernel(KernelConfig {
            evaluation: EvaluationLinks::Threshold,
            ..Default::default()
        });
        let one = rows(&[[1.0, 0.0]]).set_requires_grad(true);
        let senders = rows(&[[1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]]);
        assert_eq!(links(&threshold, &one, &senders), [1.0, 0.0, 0.0]);
        assert_eq!(
            links(&threshold, &one, &senders.narrow(0, 1, 2)),
            [0.0, 0.0]
        );
    }

    #[test]
    fn only_masked_truncation_with_straight_through_reaches_truncated_links() {
        let gradient = |truncation_implementation, straight_through| {
            let kernel = kernel(KernelConfig {
                truncation: Some(0.5),
                truncation_implementation,
                straight_through,
                ..Default::default()
            });
            let far = rows(&[[0.1, 1.0]]).set_requires_grad(true);
            let p = kernel
                .link_probability(&far, &rows(&[[1.0, 0.0], [1.0, 0.1]]))
                .unwrap();
            assert_eq!(p.detach().abs().max().double_value(&[]), 0.0);
            p.sum(Kind::Double).backward();
            far.grad().abs().max().double_value(&[])
        };
        assert!(gradient(Truncation::Masked, true) > 0.1);
        assert_eq!(gradient(Truncation::Masked, false), 0.0);
        assert_eq!(gradient(Truncation::Direct, true), 0.0);
    }

    #[test]
    fn either_side_may_have_signatures_per_example() {
        let kernel = kernel(KernelConfig::default());
        let (r, s) = (Tensor::randn([4, 3], DOUBLE), Tensor::randn([5, 3], DOUBLE));
        let plain = kernel.link_probability(&r, &s).unwrap();
        let repeat = |x: &Tensor| x.unsqueeze(0).repeat([2, 1, 1]);
        for (r, s) in [
            (repeat(&r), s.copy()),
            (r.copy(), repeat(&s)),
            (repeat(&r), repeat(&s)),
        ] {
            let batched = kernel.link_probability(&r, &s).unwrap();
            assert_eq!(batched.size(), [2, 4, 5]);
            assert!(batched.allclose(&repeat(&plain), 1e-12, 1e-12, false));
        }
        assert!(
            kernel
                .distance(&repeat(&r), &s.unsqueeze(0).repeat([3, 1, 1]))
                .is_err()
        );
    }
}
