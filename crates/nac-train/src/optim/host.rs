//! Tensors in plain memory of the CPU, as slices for kernels without libtorch.

use tch::{Device, Kind, Tensor};

use crate::error::{Result, TrainError};

/// Whether a tensor is contiguous, in single precision and on the CPU.
pub(super) fn is_plain(tensor: &Tensor) -> bool {
    tensor.defined()
        && !tensor.is_sparse()
        && tensor.device() == Device::Cpu
        && tensor.kind() == Kind::Float
        && tensor.is_contiguous()
}

/// Threads that kernels may use: as many as libtorch.
pub(super) fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// `tensor` itself if it is plain, else a copy that is.
pub(super) fn plain(tensor: &Tensor) -> Result<Tensor> {
    if !tensor.defined() || is_plain(tensor) {
        return Ok(tensor.shallow_clone());
    }
    let tensor = tensor.f_to_dense(None::<Kind>, false)?;
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    Ok(tensor.f_contiguous()?)
}

/// The values of a plain tensor; none of another or an empty one. No operation of libtorch may run while they are used.
#[expect(unsafe_code, reason = "the slice is the tensor's memory")]
pub(super) fn values(tensor: &Tensor) -> Option<&[f32]> {
    if !is_plain(tensor) || tensor.numel() == 0 {
        return None;
    }
    // SAFETY: `is_plain` says that the memory holds `numel` values of 32 bits one after the other, and the borrowed
    // tensor keeps it alive. Callers run no operation of libtorch while they hold the slice, so nothing
    // writes to it.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), tensor.numel()) })
}

/// The values of a weight, and of its gradient.
type WeightAndGradient<'a> = (&'a mut [f32], &'a [f32]);

/// The values of plain `weights`, to be changed, each with its gradient; none where there is no gradient.
///
/// # Errors
/// A weight or gradient is not plain, the two have different shapes, or weights share memory with each other or with a
/// gradient.
#[expect(unsafe_code, reason = "the slices are the tensors' memory")]
pub(super) fn weights_and_gradients<'a>(
    weights: &'a [&Tensor],
    gradients: &'a [Tensor],
) -> Result<Vec<Option<WeightAndGradient<'a>>>> {
    let refuse = |reason: String| Err(TrainError::State(format!("AdamW: {reason}")));
    for (weight, gradient) in weights.iter().zip(gradients) {
        if gradient.defined() && gradient.size() != weight.size() {
            let (expected, found) = (weight.size(), gradient.size());
            return refuse(format!(
                "a gradient is {found:?}, its weights are {expected:?}"
            ));
        }
    }
    if !are_apart(weights, gradients) {
        return refuse("weights share memory with each other or with a gradient".into());
    }
    let pair = |(weight, gradient): (&'a &Tensor, &'a Tensor)| {
        let gradient = values(gradient)?;
        if !is_plain(weight) {
            return None;
        }
        let pointer = weight.data_ptr().cast::<f32>();
        // SAFETY: as in `values`; and no other slice that this function gives, of a weight or of a gradient, overlaps
        // with this one, since `are_apart` compared all of them.
        let weight = unsafe { std::slice::from_raw_parts_mut(pointer, weight.numel()) };
        Some((weight, gradient))
    };
    Ok(weights.iter().zip(gradients).map(pair).collect())
}

/// Whether plain `weights` share no memory with each other or with a gradient.
pub(super) fn are_apart(weights: &[&Tensor], gradients: &[Tensor]) -> bool {
    let range = |tensor: &Tensor, written: bool| {
        let start = tensor.data_ptr() as usize;
        (start, start + tensor.numel() * size_of::<f32>(), written)
    };
    let weights = weights.iter().map(|tensor| range(tensor, true));
    let gradients = gradients.iter().filter(|gradient| gradient.defined());
    let mut ranges: Vec<_> = weights
        .chain(gradients.map(|tensor| range(tensor, false)))
        .filter(|(start, end, _)| end > start)
        .collect();
    ranges.sort_unstable();
    let (mut any_end, mut written_end) = (0, 0);
    ranges.into_iter().all(|(start, end, written)| {
        let apart = start >= if written { any_end } else { written_end };
        any_end = any_end.max(end);
        if written {
            written_end = written_end.max(end);
        }
        apart
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_changed_in_place() {
        let weight = Tensor::from_slice(&[1.0_f32, 2.0]);
        let (gradients, weights) = (
            [Tensor::from_slice(&[3.0_f32, 4.0]), Tensor::new()],
            [&weight, &Tensor::zeros([1], (Kind::Float, Device::Cpu))],
        );
        let mut pairs = weights_and_gradients(&weights, &gradients).unwrap();
        assert!(pairs[1].is_none());
        let (values, gradient) = pairs[0].take().unwrap();
        values.copy_from_slice(gradient);
        drop(pairs);
        assert_eq!(weight, gradients[0]);
    }

    #[test]
    fn shared_memory_and_other_shapes_are_refused() {
        let all = Tensor::zeros([6], (Kind::Float, Device::Cpu));
        let part = |start| all.narrow(0, start, 3);
        let none = || [Tensor::new(), Tensor::new()];
        assert!(weights_and_gradients(&[&part(0), &part(3)], &none()).is_ok());
        let gradient = [
            Tensor::new(),
            Tensor::zeros([3], (Kind::Float, Device::Cpu)),
        ];
        for (weights, gradients) in [
            ([part(0), part(2)], none()),
            ([part(0), part(0)], none()),
            ([part(0), part(3)], [part(3), Tensor::new()]),
            ([part(0), all.shallow_clone()], gradient),
        ] {
            let weights = [&weights[0], &weights[1]];
            assert!(weights_and_gradients(&weights, &gradients).is_err());
        }
        let long = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        let error = weights_and_gradients(&[&part(0)], &[long]).unwrap_err();
        assert!(
            error.to_string().contains("[4], its weights are [3]"),
            "{error}"
        );
    }
}
