//! Gated diagonal linear recurrence.

use nac_core::model::spec::RecurrenceSpec;
use tch::Tensor;

use super::{LayerNorm, Linear, filtered_scan};
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// `x + W_o (s ⊙ GELU(W_g u + b_g)) + b_o` with `u = LN(x)` and states `s` of a linear recurrence on a short causal
/// convolution of `W_v u`; the equations are those of [`RecurrenceSpec`].
///
/// Parameters `norm`, `value`, `gate`, `output`, `kernel`, `[4, states]`, `decay` and `gain`, `[states]`.
#[derive(Debug)]
pub struct Recurrence {
    norm: LayerNorm,
    value: Linear,
    gate: Linear,
    output: Linear,
    kernel: Tensor,
    decay: Tensor,
    gain: Tensor,
}

impl Recurrence {
    /// The layer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(root: &mut Scope<'_>, spec: &RecurrenceSpec) -> Result<Self> {
        let norm = LayerNorm::from_spec(root, &spec.norm)?;
        let value = Linear::from_spec(root, &spec.value)?;
        let gate = Linear::from_spec(root, &spec.gate)?;
        let output = Linear::from_spec(root, &spec.output)?;
        let mut scope = root.sub(&spec.path);
        let states = shape::positive("states", spec.states)?;
        let taps = RecurrenceSpec::KERNEL as i64;
        let bound = 1.0 / (taps as f64).sqrt();
        let kernel = scope.parameter("kernel", &[taps, states], Init::Uniform { bound })?;
        let mut vector = |name: &str, values: &[f64]| {
            let tensor = scope.parameter(name, &[states], Init::Zeros)?;
            let values = Tensor::f_from_slice(values)?;
            tch::no_grad(|| tensor.shallow_clone().f_copy_(&values))?;
            Ok::<_, crate::error::ModuleError>(tensor)
        };
        Ok(Self {
            norm,
            value,
            gate,
            output,
            kernel,
            decay: vector("decay", &spec.initial_decays())?,
            gain: vector("gain", &spec.initial_gains())?,
        })
    }

    /// Applies the layer. Fastest for lengths that are multiples of [`CHUNK`](super::CHUNK).
    ///
    /// # Shapes
    /// - x: `[batch, length, dim]`
    /// - output: as x
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let expected = [("batch", None), ("length", None), ("dim", None)];
        shape::check("Recurrence", "x", x, &expected)?;
        let size = x.size();
        let (batch, length, dim) = (size[0], size[1], size[2]);
        // States lie before positions, so that products with them need no copy: [states, batch · length].
        let u = self
            .norm
            .forward(x)?
            .f_reshape([-1, dim])?
            .f_transpose(0, 1)?;
        let value = self.value.weight().f_matmul(&u)?;
        let states = value.size()[0];
        let decay = self.decay.f_clamp_min(0.0)?;
        let kernel = self.kernel.f_mul(&self.gain)?;
        let value = value.f_view([states, batch, length])?;
        let found = filtered_scan(&value, &kernel, &decay)?.f_reshape([states, -1])?;
        let mut gate = self.gate.weight().f_matmul(&u)?;
        if let Some(bias) = self.gate.bias() {
            gate = gate.f_add(&bias.f_unsqueeze(-1)?)?;
        }
        let gated = found.f_mul(&gate.f_gelu("none")?)?;
        let y = self.output.forward(&gated.f_transpose(0, 1)?)?;
        Ok(y.f_view([batch, length, dim])?.f_add(x)?)
    }
}
