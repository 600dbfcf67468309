//! Norms and activations are cheap: the backward pass of a recompute node recomputes them from their input.

use tch::Tensor;

use super::geglu::Geglu;
use super::norm::normalise_with;
use super::{Activation, activate};
use crate::error::Result;

/// The function `f` with its parameters, saved for the backward pass.
pub(super) enum Saved {
    Identity,
    Norm { weight: Tensor, bias: Tensor },
    Activation(Activation),
}

/// How the gradient of a recomputed `f(x)` becomes that of `x` and of the parameters of `f`.
pub(super) enum Recomputed {
    Identity,
    Geglu(Geglu),
    Graph { value: Tensor, leaves: Vec<Tensor> },
}

impl Recomputed {
    pub(super) fn new(x: &Tensor, saved: &Saved) -> Result<(Tensor, Self)> {
        let graph = |leaves: Vec<Tensor>, f: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
            let leaves: Vec<Tensor> = leaves.iter().map(leaf).collect::<Result<_>>()?;
            let value = tch::with_grad(|| f(&leaves))?;
            Ok((value.f_detach()?, Self::Graph { value, leaves }))
        };
        match saved {
            Saved::Identity => Ok((x.shallow_clone(), Self::Identity)),
            Saved::Activation(Activation::Geglu) => {
                let geglu = Geglu::new(x)?;
                Ok((geglu.value.shallow_clone(), Self::Geglu(geglu)))
            }
            Saved::Activation(activation) => {
                graph(vec![x.shallow_clone()], &|l| activate(*activation, &l[0]))
            }
            Saved::Norm { weight, bias } => graph(
                vec![
                    x.shallow_clone(),
                    weight.shallow_clone(),
                    bias.shallow_clone(),
                ],
                &|l| Ok(normalise_with(&l[0], &l[1], &l[2])?),
            ),
        }
    }

    /// Gradients of `x` and of the parameters of `f`, from that of `f(x)`.
    pub(super) fn backward(self, gradient: Tensor) -> Result<Vec<Tensor>> {
        match self {
            Self::Identity => Ok(vec![gradient]),
            Self::Geglu(geglu) => Ok(vec![geglu.backward(&gradient)?]),
            Self::Graph { value, leaves } => backward_through(&value, &gradient, &leaves),
        }
    }
}

/// A leaf with the same values that takes a gradient.
pub(super) fn leaf(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.set_requires_grad(true))
}

/// Gradients of `leaves` if that of `value`, which was computed from them, is `gradient`.
pub(super) fn backward_through(
    value: &Tensor,
    gradient: &Tensor,
    leaves: &[Tensor],
) -> Result<Vec<Tensor>> {
    // The dot product has `gradient` as its derivative.
    let root = tch::with_grad(|| {
        let flat = [value, gradient].map(|t| t.f_reshape([-1_i64]));
        let [value, gradient] = flat;
        value?.f_dot(&gradient?)
    })?;
    let leaves: Vec<&Tensor> = leaves.iter().collect();
    Ok(Tensor::f_run_backward(&[root], &leaves, false, false)?)
}
