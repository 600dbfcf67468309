//! A projection of a fused block: its tensors, its scale, and the memory of its gradients.

use nac_engine::training::{
    Compute, Modulation, ModulationGradients, ModulationOperands, ModulationShape,
    ProjectionGradient, ProjectionOperand,
};
use tch::Tensor;

use super::memory::{Buffer, floats};
use crate::error::Result;

const OP: &str = "fused projection";

/// `W (x ⊙ s) + b`: tensors attached to the graph.
#[derive(Debug)]
pub(crate) struct Projected {
    /// `[out, in]`.
    pub(crate) weight: Tensor,
    /// `[out]`.
    pub(crate) bias: Option<Tensor>,
    /// Where the scale `s` comes from.
    pub(crate) scale: ScaleSource,
}

/// Where the scale of a projection comes from.
#[derive(Debug)]
pub(crate) enum ScaleSource {
    /// There is none.
    One,
    /// The block computes it.
    Codes(Modulated),
    /// A tensor, `[modules, in]` or `[batch, modules, in]`, contiguous.
    Given(Tensor),
}

/// What the scale `1 + α · LN(W_c c)` is computed from, attached to the graph.
#[derive(Debug)]
pub(crate) struct Modulated {
    /// `c`, `[modules, code]` or `[batch, modules, code]`, contiguous.
    pub(crate) codes: Tensor,
    /// `W_c`, `[in, code]`.
    pub(crate) code_projection: Tensor,
    /// `α`, `[]`.
    pub(crate) gain: Tensor,
    /// Whether one is added.
    pub(crate) add_one: bool,
}

impl Projected {
    /// Appends the tensors that may take gradients, in the order of [`ProjectionGradients::append`].
    pub(super) fn append_inputs(&self, inputs: &mut Vec<Tensor>) {
        inputs.push(self.weight.shallow_clone());
        inputs.extend(self.bias.as_ref().map(Tensor::shallow_clone));
        match &self.scale {
            ScaleSource::One => {}
            ScaleSource::Codes(scale) => {
                let all = [&scale.codes, &scale.code_projection, &scale.gain];
                inputs.extend(all.map(Tensor::shallow_clone));
            }
            ScaleSource::Given(scale) => inputs.push(scale.shallow_clone()),
        }
    }
}

impl Modulated {
    fn operands(&self) -> Result<ModulationOperands<'_>> {
        let gain = floats(OP, "scale_gain", &self.gain)?;
        Ok(ModulationOperands {
            codes: floats(OP, "codes", &self.codes)?,
            weight: floats(OP, "scale.weight", &self.code_projection)?,
            gain: gain.first().copied().unwrap_or(0.0),
            add_one: self.add_one,
        })
    }

    /// Of the scale, `[modules, in]` or `[batch, modules, in]`.
    fn scale_size(&self) -> Vec<i64> {
        let mut size = self.codes.size();
        if let (Some(last), Some(&features)) =
            (size.last_mut(), self.code_projection.size().first())
        {
            *last = features;
        }
        size
    }

    fn shape(&self) -> ModulationShape {
        let size = |t: &Tensor, dim: usize| {
            let size = t.size().get(dim).copied();
            size.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
        };
        let codes = size(&self.code_projection, 1);
        ModulationShape {
            rows: self.codes.numel() / codes.max(1),
            codes,
            features: size(&self.code_projection, 0),
        }
    }
}

/// The scale of a projection, computed in each forward pass.
#[derive(Debug, Default)]
pub(super) struct Scale {
    modulation: Option<(ModulationShape, Modulation)>,
    values: Vec<f32>,
}

impl Scale {
    /// Computes the scale of `projected`.
    pub(super) fn compute(&mut self, projected: &Projected, compute: &Compute) -> Result<()> {
        let ScaleSource::Codes(scale) = &projected.scale else {
            return Ok(());
        };
        let shape = scale.shape();
        let modulation = match &mut self.modulation {
            Some((of, modulation)) if *of == shape => modulation,
            other => &mut other.insert((shape, Modulation::new(shape)?)).1,
        };
        self.values.resize(shape.rows * shape.features, 0.0);
        modulation.forward(compute, &scale.operands()?, &mut self.values)?;
        Ok(())
    }

    /// What a block reads of `projected`, whose scale was computed.
    pub(super) fn operand<'a>(&'a self, projected: &'a Projected) -> Result<ProjectionOperand<'a>> {
        let bias = projected.bias.as_ref();
        Ok(ProjectionOperand {
            weight: floats(OP, "weight", &projected.weight)?,
            bias: bias.map(|bias| floats(OP, "bias", bias)).transpose()?,
            scale: match &projected.scale {
                ScaleSource::One => None,
                ScaleSource::Codes(_) => Some(self.values.as_slice()),
                ScaleSource::Given(scale) => Some(floats(OP, "scale", scale)?),
            },
        })
    }
}

/// Memory of the gradients of a projection.
#[derive(Debug, Default)]
pub(super) struct ProjectionGradients {
    weight: Buffer,
    bias: Buffer,
    scale: Buffer,
    codes: Buffer,
    code_projection: Buffer,
    gain: Buffer,
}

impl ProjectionGradients {
    /// Where a block writes the gradients of `projected`.
    pub(super) fn writable(
        &mut self,
        projected: &Projected,
        generation: u64,
    ) -> Result<ProjectionGradient<'_>> {
        let bias = match &projected.bias {
            Some(bias) => Some(self.bias.writable(&bias.size(), generation)?),
            None => None,
        };
        let size = match &projected.scale {
            ScaleSource::One => None,
            ScaleSource::Codes(scale) => Some(scale.scale_size()),
            ScaleSource::Given(scale) => Some(scale.size()),
        };
        let scale = match size {
            Some(size) => Some(self.scale.writable(&size, generation)?),
            None => None,
        };
        Ok(ProjectionGradient {
            weight: self.weight.writable(&projected.weight.size(), generation)?,
            bias,
            scale,
        })
    }

    /// From the gradient of the scale to those of what it is computed from.
    pub(super) fn of_scale(
        &mut self,
        projected: &Projected,
        scale: &mut Scale,
        compute: &Compute,
        generation: u64,
    ) -> Result<()> {
        let (ScaleSource::Codes(modulated), Some((_, modulation))) =
            (&projected.scale, &mut scale.modulation)
        else {
            return Ok(());
        };
        let gain = self.gain.writable(&[], generation)?;
        let mut gradients = ModulationGradients {
            codes: Some(self.codes.writable(&modulated.codes.size(), generation)?),
            weight: self
                .code_projection
                .writable(&modulated.code_projection.size(), generation)?,
            gain: gain.first_mut(),
        };
        let gradient = self.scale.values()?;
        modulation.backward(compute, &modulated.operands()?, gradient, &mut gradients)?;
        Ok(())
    }

    /// Appends the gradients in the order of [`Projected::append_inputs`].
    pub(super) fn append(&self, projected: &Projected, gradients: &mut Vec<Tensor>) {
        gradients.push(self.weight.tensor());
        if projected.bias.is_some() {
            gradients.push(self.bias.tensor());
        }
        match &projected.scale {
            ScaleSource::One => {}
            ScaleSource::Codes(_) => {
                let all = [&self.codes, &self.code_projection, &self.gain];
                gradients.extend(all.map(Buffer::tensor));
            }
            ScaleSource::Given(_) => gradients.push(self.scale.tensor()),
        }
    }
}
