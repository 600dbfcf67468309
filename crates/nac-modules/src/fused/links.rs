//! The links of an attention between modules, sampled where they are used.

use nac_engine::training::Compute;
use nac_engine::training::attention::Links;
use nac_engine::training::links::{relax, relax_gradient};
use tch::Tensor;

use super::edges::Edges;
use super::memory::{Buffer, floats, size_of};
use crate::error::Result;

const OP: &str = "fused links";

/// Where the logarithms of links come from.
#[derive(Debug)]
pub(crate) enum LinkSource {
    /// Themselves, `[receivers, senders]` or `[batch, receivers, senders]`; `−∞` is no link.
    Given(Tensor),
    /// Relaxed Bernoulli samples.
    Sampled {
        /// `[receivers, senders]` or `[batch, receivers, senders]`.
        logit: Tensor,
        /// `[batch, receivers, senders]`, in `[0, 1)`.
        uniform: Tensor,
        temperature: f64,
    },
}

impl LinkSource {
    /// The tensor that may take a gradient, contiguous.
    pub(super) fn input(&self) -> &Tensor {
        match self {
            Self::Given(log_links) => log_links,
            Self::Sampled { logit, .. } => logit,
        }
    }

    /// The same with contiguous tensors.
    pub(crate) fn contiguous(self) -> Result<Self> {
        Ok(match self {
            Self::Given(log_links) => Self::Given(log_links.f_contiguous()?),
            Self::Sampled {
                logit,
                uniform,
                temperature,
            } => Self::Sampled {
                logit: logit.f_contiguous()?,
                uniform: uniform.f_contiguous()?,
                temperature,
            },
        })
    }
}

/// The links of one call: drawn in each forward pass if they are sampled, edges if truncation left few.
#[derive(Debug, Default)]
pub(super) struct DrawnLinks {
    samples: Vec<f32>,
    edges: Option<Edges>,
}

impl DrawnLinks {
    /// Prepares the links of `source`.
    pub(super) fn draw(&mut self, source: Option<&LinkSource>, compute: &Compute) -> Result<()> {
        let last = self.edges.take();
        match source {
            Some(LinkSource::Sampled {
                logit,
                uniform,
                temperature,
            }) => {
                let uniform = floats(OP, "uniform", uniform)?;
                self.samples.resize(uniform.len(), 0.0);
                let logit = floats(OP, "logit", logit)?;
                relax(compute, logit, uniform, *temperature, &mut self.samples)?;
            }
            Some(LinkSource::Given(log_links)) if log_links.dim() == 2 => {
                let senders = size_of(OP, "senders", log_links.size()[1])?;
                self.edges = Edges::find(floats(OP, "log links", log_links)?, senders, last)?;
            }
            Some(LinkSource::Given(_)) | None => {}
        }
        Ok(())
    }

    /// What a block reads of `source`, which was drawn.
    pub(super) fn operand<'a>(&'a self, source: Option<&'a LinkSource>) -> Result<Links<'a>> {
        Ok(match (source, &self.edges) {
            (None, _) => Links::None,
            (Some(LinkSource::Sampled { .. }), _) => Links::PerExample(&self.samples),
            (Some(LinkSource::Given(_)), Some(edges)) => Links::Edges {
                graph: &edges.graph,
                log: &edges.log,
            },
            (Some(LinkSource::Given(log_links)), None) => {
                let values = floats(OP, "log links", log_links)?;
                match log_links.dim() {
                    2 => Links::Shared(values),
                    _ => Links::PerExample(values),
                }
            }
        })
    }
}

/// Memory of the gradients of links.
#[derive(Debug, Default)]
pub(super) struct LinkGradients {
    /// Of samples or of edges.
    links: Vec<f32>,
    gradient: Buffer,
}

impl LinkGradients {
    /// Where a block writes the gradient of the logarithms of links, if somebody wants it.
    pub(super) fn writable(
        &mut self,
        source: Option<&LinkSource>,
        drawn: &DrawnLinks,
        generation: u64,
    ) -> Result<Option<&mut [f32]>> {
        let count = match (source, &drawn.edges) {
            (None, _) => return Ok(None),
            (Some(source), _) if !source.input().requires_grad() => return Ok(None),
            (Some(LinkSource::Sampled { .. }), _) => drawn.samples.len(),
            (Some(LinkSource::Given(_)), Some(edges)) => edges.log.len(),
            (Some(LinkSource::Given(log_links)), None) => {
                return Ok(Some(self.gradient.writable(&log_links.size(), generation)?));
            }
        };
        self.links.resize(count, 0.0);
        Ok(Some(&mut self.links))
    }

    /// The gradient of [`LinkSource::input`], undefined if nobody wants it.
    pub(super) fn of_source(
        &mut self,
        source: &LinkSource,
        drawn: &DrawnLinks,
        compute: &Compute,
        generation: u64,
    ) -> Result<Tensor> {
        if !source.input().requires_grad() {
            return Ok(Tensor::new());
        }
        match (source, &drawn.edges) {
            (
                LinkSource::Sampled {
                    logit, temperature, ..
                },
                _,
            ) => {
                let gradient = self.gradient.writable(&logit.size(), generation)?;
                let (samples, links) = (&drawn.samples, &self.links);
                relax_gradient(compute, samples, links, *temperature, gradient)?;
            }
            (LinkSource::Given(log_links), Some(edges)) => {
                let gradient = self.gradient.writable(&log_links.size(), generation)?;
                edges.spread(&self.links, gradient);
            }
            (LinkSource::Given(_), None) => {}
        }
        Ok(self.gradient.tensor())
    }
}
