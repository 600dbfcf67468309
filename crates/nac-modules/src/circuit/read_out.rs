//! Read-out: output modules gather the result from the processors.
//!
//! A propagator from processors to read-out modules, with its own layer norm for senders and without a
//! residual around the attention, then, if asked for, a projection to the output dimension.
//! Source: reference `block.py`, class `ReadOut` (the final configuration has no head).

use nac_core::model::spec::{OutputProjectionSpec, ReadOutSpec};
use tch::Tensor;

use super::{ModuleStates, Propagator};
use crate::attention::SignatureKernel;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{LayerNorm, Projection};
use crate::params::Scope;

/// Projection of the states to the output dimension.
#[derive(Debug)]
struct OutputProjection {
    norm: Option<LayerNorm>,
    projection: Projection,
}

/// Read-out modules' attention, ModFFN and head. Parameters under `latent_attention`, `ffn`, `head.0.module` (layer
/// norm, if any) and `head.1` (projection, if any).
#[derive(Debug)]
pub struct ReadOut {
    propagator: Propagator,
    head: Option<OutputProjection>,
    output_dim: usize,
}

impl ReadOut {
    /// The read-out of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ReadOutSpec) -> Result<Self> {
        let mut head = |spec: &OutputProjectionSpec| -> Result<OutputProjection> {
            let norm = spec.norm.as_ref();
            Ok(OutputProjection {
                norm: norm
                    .map(|norm| LayerNorm::from_spec(scope, norm))
                    .transpose()?,
                projection: Projection::new(scope, &spec.projection)?,
            })
        };
        let head = spec.projection.as_ref().map(&mut head).transpose()?;
        Ok(Self {
            propagator: Propagator::new(scope, &spec.propagator)?,
            output_dim: spec.output_dim,
            head,
        })
    }

    /// States of the read-out modules.
    ///
    /// # Shapes
    /// - read_out: states `[batch, read_out, state]`
    /// - processors: states `[batch, modules, state]`
    /// - output: `[batch, read_out, state]`, or with a head `[batch, read_out, output]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        read_out: &ModuleStates<'_>,
        processors: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let states = self.propagator.forward(read_out, processors, ctx)?;
        let Some(head) = &self.head else {
            return Ok(states);
        };
        let states = match &head.norm {
            Some(norm) => norm.forward(&states)?,
            None => states,
        };
        head.projection.forward(&states, read_out.codes, ctx)
    }

    /// Dimension of the result.
    pub fn output_dim(&self) -> usize {
        self.output_dim
    }

    /// The kernel that links processors to read-out modules.
    pub fn kernel(&self) -> &SignatureKernel {
        self.propagator.kernel()
    }
}
