//! Cheap parts of a cut are computed again in the backward pass instead of being kept: norms and activations.

use tch::Tensor;

use super::geglu::Geglu;
use super::norm::normalise_with;
use super::{Activation, activate};
use crate::error::Result;

/// `f`, with what it needs.
pub(super) enum Kept {
    Nothing,
    Norm { weight: Tensor, bias: Tensor },
    Activation(Activation),
}

/// `f(x)` computed again, with the means to go back through it.
pub(super) enum Again {
    Nothing,
    Geglu(Geglu),
    Graph { value: Tensor, leaves: Vec<Tensor> },
}

impl Again {
    pub(super) fn new(x: &Tensor, kept: &Kept) -> Result<(Tensor, Self)> {
        let graph = |leaves: Vec<Tensor>, f: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
            let leaves: Vec<Tensor> = leaves.iter().map(with_gradient).collect::<Result<_>>()?;
            let value = tch::with_grad(|| f(&leaves))?;
            Ok((value.f_detach()?, Self::Graph { value, leaves }))
        };
        match kept {
            Kept::Nothing => Ok((x.shallow_clone(), Self::Nothing)),
            Kept::Activation(Activation::Geglu) => {
                let again = Geglu::new(x)?;
                Ok((again.value.shallow_clone(), Self::Geglu(again)))
            }
            Kept::Activation(activation) => {
                graph(vec![x.shallow_clone()], &|l| activate(*activation, &l[0]))
            }
            Kept::Norm { weight, bias } => graph(
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
            Self::Nothing => Ok(vec![gradient]),
            Self::Geglu(geglu) => Ok(vec![geglu.backward(&gradient)?]),
            Self::Graph { value, leaves } => through(&value, &gradient, &leaves),
        }
    }
}

/// A leaf with the same values that takes a gradient.
pub(super) fn with_gradient(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.set_requires_grad(true))
}

/// Gradients of `leaves` if that of `value`, which was computed from them, is `gradient`.
pub(super) fn through(value: &Tensor, gradient: &Tensor, leaves: &[Tensor]) -> Result<Vec<Tensor>> {
    // The dot product has `gradient` as its derivative.
    let root = tch::with_grad(|| {
        let flat = [value, gradient].map(|t| t.f_reshape([-1_i64]));
        let [value, gradient] = flat;
        value?.f_dot(&gradient?)
    })?;
    let leaves: Vec<&Tensor> = leaves.iter().collect();
    Ok(Tensor::f_run_backward(&[root], &leaves, false, false)?)
}
