//! Gradients of a case that was recorded on a tape.

use std::collections::BTreeMap;

use nac_modules::params::ParamStore;
use nac_modules::tape::Tape;
use tch::Tensor;

use super::error::CaseResult;

/// Tensors with the gradients that the tape gives them, if anything is recorded on it.
pub(super) fn gradients_by_tape(
    tape: &mut Tape,
    loss: &Tensor,
    inputs: &BTreeMap<String, Tensor>,
    store: Option<&ParamStore>,
) -> CaseResult<Option<Vec<(Tensor, Tensor)>>> {
    if tape.is_empty() {
        return Ok(None);
    }
    let parameters = store.into_iter().flat_map(ParamStore::parameters);
    let parameters = parameters.map(|(_, tensor)| tensor);
    let all = inputs.values().chain(parameters);
    let leaves: Vec<&Tensor> = all.filter(|tensor| tensor.requires_grad()).collect();
    let gradients = tape.backward(loss, &leaves)?;
    let leaves = leaves.into_iter().map(Tensor::shallow_clone);
    Ok(Some(leaves.zip(gradients).collect()))
}

/// The gradient of a tensor: that of the tape if it was used, libtorch's if not.
pub(super) fn gradient_of(tensor: &Tensor, by_tape: Option<&[(Tensor, Tensor)]>) -> Option<Tensor> {
    let gradient = match by_tape {
        None => tensor.grad(),
        Some(all) => {
            let same = |leaf: &Tensor| leaf.data_ptr() == tensor.data_ptr();
            let found = all.iter().find(|(leaf, _)| same(leaf));
            found.map_or_else(Tensor::new, |(_, gradient)| gradient.shallow_clone())
        }
    };
    gradient.defined().then_some(gradient)
}
