//! Gated diagonal linear recurrence.

use nac_core::model::spec::RecurrenceSpec;
use tch::Tensor;

use super::{LayerNorm, Linear, linear_scan};
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
        let start = Init::Uniform {
            bound: 1.0 / (taps as f64).sqrt(),
        };
        let kernel = scope.parameter("kernel", &[taps, states], start)?;
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

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[batch, length, dim]`
    /// - output: as x
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let u = self.norm.forward(x)?;
        let value = self.convolve(&self.value.forward(&u)?)?;
        let decay = self.decay.f_clamp_min(0.0)?;
        let states = linear_scan(&value, &decay)?;
        let gate = self.gate.forward(&u)?.f_gelu("none")?;
        Ok(self.output.forward(&states.f_mul(&gate)?)?.f_add(x)?)
    }

    /// `gain ⊙ Σ_k kernel_k ⊙ v_{t−k}`.
    fn convolve(&self, value: &Tensor) -> Result<Tensor> {
        let length = value.size()[1];
        let kernel = self.kernel.f_mul(&self.gain)?;
        let taps = kernel.size()[0];
        let padded = value.f_constant_pad_nd([0, 0, taps - 1, 0])?;
        let mut sum = value.f_mul(&kernel.f_select(0, 0)?)?;
        for tap in 1..taps {
            let earlier = padded.f_narrow(1, taps - 1 - tap, length)?;
            sum = sum.f_addcmul(&earlier, &kernel.f_select(0, tap)?)?;
        }
        Ok(sum)
    }
}
