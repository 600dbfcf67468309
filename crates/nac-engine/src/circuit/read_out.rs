//! Read-out: read-out modules attend to the processors; a layer norm and a projection may follow.

use ndarray::ArrayView2;

use super::propagation::Propagation;
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout};
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;
use crate::weights::WeightScope;
use nac_core::model::spec::OutputProjectionSpec;

/// Layer norm, if any, and projection to the outputs, with the modulation of the read-out modules.
pub(crate) type OutputProjection = (Option<Norm>, Projection, Modulation);

/// The last layer.
#[derive(Debug, Clone)]
pub(crate) struct ReadOut {
    pub(crate) layer: Propagation,
    /// Initial states.
    pub(crate) initial: Blocks,
    pub(crate) count: usize,
    /// Without it, the outputs are the states.
    pub(crate) projection: Option<OutputProjection>,
}

impl ReadOut {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let rows = self.projection.as_ref().map_or(0, |p| p.1.input_rows());
        let own = ScratchSize {
            normal: rows,
            operand: rows,
            ..ScratchSize::default()
        };
        self.layer.scratch_size().max(own)
    }

    /// Rows of a block of outputs.
    pub(crate) fn output_rows(&self) -> usize {
        match &self.projection {
            Some((_, projection, _)) => projection.output_rows(),
            None => self.initial.rows(),
        }
    }

    /// From states to outputs of some blocks; the first is block `first`.
    pub(crate) fn finish(
        &self,
        backend: &Backend,
        first: usize,
        states: &[Row],
        output: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let Some((norm, projection, modulation)) = &self.projection else {
            output.copy_from_slice(states);
            return;
        };
        let x = match norm {
            Some(norm) => {
                norm.apply(backend, states, &mut scratch.normal);
                &scratch.normal[..states.len()]
            }
            None => states,
        };
        let target = Target::overwrite(output, projection.output_rows());
        let operand = &mut scratch.operand;
        projection.apply(backend, modulation, first, x, operand, target);
    }
}

/// The projection of `spec`, for modules with these codes.
pub(crate) fn projection(
    scope: &WeightScope<'_, '_>,
    spec: &OutputProjectionSpec,
    codes: ArrayView2<'_, f32>,
    backend: &Backend,
) -> Result<OutputProjection> {
    let norm = spec.norm.as_ref().map(|norm| Norm::of(scope, norm));
    let spec_of = &spec.projection;
    let layouts = (Layout::plain(spec_of.input), Layout::plain(spec_of.output));
    let projection = Projection::load(scope, spec_of, layouts, backend.precision)?;
    let modulation = projection.modulation(codes);
    Ok((norm.transpose()?, projection, modulation))
}
