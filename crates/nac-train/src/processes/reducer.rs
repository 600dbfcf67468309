//! [`Reducer`]: the sum of gradients over processes, in one flat buffer.

use nac_dist::{DistError, Group};
use tch::{Device, Kind, Tensor};

use crate::config::Compress;

/// Sums gradients over processes.
#[derive(Debug, Default)]
pub(crate) struct Reducer {
    compress: Compress,
    /// `[numbers]` of the last call, kept so that each step does not get fresh memory.
    flat: Option<Tensor>,
}

impl Reducer {
    pub(crate) fn new(compress: Compress) -> Self {
        Self {
            compress,
            flat: None,
        }
    }

    /// Replaces `tensors` by `Σ_rank share_rank · tensors_rank`, where `share` is that of this process. Undefined tensors
    /// stay undefined; all processes have the same ones.
    ///
    /// # Errors
    /// A process is gone, or libtorch fails.
    pub(crate) fn reduce(
        &mut self,
        group: &dyn Group,
        tensors: &mut [Tensor],
        share: f64,
    ) -> Result<(), DistError> {
        let defined = || tensors.iter().filter(|tensor| tensor.defined());
        let count: usize = defined().map(Tensor::numel).sum();
        let mut flat = match self.flat.take() {
            Some(flat) if flat.numel() == count => flat,
            _ => Tensor::f_zeros([count as i64], (Kind::Float, Device::Cpu))?,
        };
        let mut start = 0;
        for tensor in defined() {
            let length = tensor.numel() as i64;
            flat.f_narrow(0, start, length)?
                .f_copy_(&tensor.f_reshape([-1])?)?;
            start += length;
        }
        let _ = flat.f_mul_scalar_(share)?;
        match self.compress {
            Compress::None => group.all_reduce(&mut flat)?,
            Compress::Bf16 => group.all_reduce_bf16(&mut flat)?,
        }
        let mut start = 0;
        for tensor in tensors.iter_mut().filter(|tensor| tensor.defined()) {
            let length = tensor.numel() as i64;
            let part = flat.f_narrow(0, start, length)?;
            tensor.f_copy_(&part.f_view_as(tensor)?)?;
            start += length;
        }
        self.flat = Some(flat);
        Ok(())
    }

    /// Replaces `tensors` on every process by those of rank 0.
    ///
    /// # Errors
    /// A process is gone, or libtorch fails.
    pub(crate) fn broadcast(group: &dyn Group, tensors: &mut [Tensor]) -> Result<(), DistError> {
        for tensor in tensors {
            let mut sent = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
            group.broadcast(&mut sent, 0)?;
            tch::no_grad(|| tensor.f_copy_(&sent))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_dist::Single;

    #[test]
    fn undefined_gradients_stay_so_and_others_are_scaled() {
        let mut tensors = vec![
            Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0])
                .view([2, 2])
                .transpose(0, 1),
            Tensor::new(),
            Tensor::from_slice(&[8.0_f32]),
        ];
        let mut reducer = Reducer::new(Compress::Bf16);
        for _ in 0..2 {
            reducer.reduce(&Single, &mut tensors, 0.5).unwrap();
        }
        assert_eq!(
            Vec::<f32>::try_from(tensors[0].reshape([-1])).unwrap(),
            [0.25, 0.75, 0.5, 1.0]
        );
        assert!(!tensors[1].defined());
        assert_eq!(tensors[2].double_value(&[0]), 2.0);
    }
}
