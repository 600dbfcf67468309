//! GEGLU with its backward pass written out: `a · gelu(g)` of the two halves of the last dimension.
//!
//! libtorch's graph would keep both halves, their activation and the sums of gradients of halves; here nothing
//! but the input is needed, and the gradients of the halves are written where they belong.

use tch::Tensor;

use super::{Activation, activate};
use crate::error::Result;

const EXACT: &str = "none";

/// GEGLU of an input, with what its backward pass can use again.
#[derive(Debug)]
pub(super) struct Geglu {
    input: Tensor,
    /// `gelu(g)`, `[..., hidden]`.
    gate: Tensor,
    /// The result, `[..., hidden]`.
    pub(super) value: Tensor,
}

impl Geglu {
    /// Of `input`, `[..., 2 · hidden]`, without a graph.
    pub(super) fn new(input: &Tensor) -> Result<Self> {
        let [a, g] = halves(input)?;
        let gate = g.f_gelu(EXACT)?;
        Ok(Self {
            input: input.shallow_clone(),
            value: gate.f_mul(&a)?,
            gate,
        })
    }

    /// The value alone.
    pub(super) fn value(input: &Tensor) -> Result<Tensor> {
        let [a, g] = halves(input)?;
        let mut gate = g.f_gelu(EXACT)?;
        Ok(gate.f_mul_(&a)?)
    }

    /// Gradient of the input from that of the result.
    pub(super) fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        let [a, g] = halves(&self.input)?;
        let result = self.input.f_empty_like()?;
        let [for_a, for_g] = halves(&result)?;
        let _ = gradient.f_mul_out(&for_a, &self.gate)?;
        let for_gate = gradient.f_mul(&a)?;
        let _ = g.f_gelu_backward_grad_input(&for_g, &for_gate, EXACT)?;
        Ok(result)
    }
}

fn halves(x: &Tensor) -> Result<[Tensor; 2]> {
    let width = x.size().last().copied().unwrap_or(0);
    if width == 0 || width % 2 != 0 {
        let _ = activate(Activation::Geglu, x)?; // which names the shape
    }
    Ok([
        x.f_narrow(-1, 0, width / 2)?,
        x.f_narrow(-1, width / 2, width / 2)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn value_and_gradient_are_those_of_the_graph() {
        let x = Tensor::randn([3, 4, 10], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let expected = activate(Activation::Geglu, &x).unwrap();
        let gradient = Tensor::randn([3, 4, 5], (Kind::Double, Device::Cpu));
        let graph = Tensor::run_backward(&[&expected * &gradient], &[&x], false, false);
        let ours = tch::no_grad(|| Geglu::new(&x.detach()).unwrap());
        assert!(ours.value.allclose(&expected, 1e-14, 1e-14, false));
        let ours = ours.backward(&gradient).unwrap();
        assert!(ours.allclose(&graph[0], 1e-13, 1e-13, false));
        let odd = Tensor::zeros([2, 3], (Kind::Double, Device::Cpu));
        let error = Geglu::new(&odd).unwrap_err().to_string();
        assert!(error.contains("found [2, 3]"), "{error}");
    }
}
