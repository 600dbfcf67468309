//! Tensors as slices: the border between libtorch's memory and nac-engine's kernels.
//!
//! A kernel reads tensors through [`floats`] and writes into a [`Buffer`], a tensor that is allocated once and written
//! again in every step.

use tch::{Device, Kind, Tensor};

use crate::error::{ModuleError, Result};

/// The values of a contiguous `f32` tensor on the CPU.
pub(super) fn floats<'t>(op: &'static str, name: &str, tensor: &'t Tensor) -> Result<&'t [f32]> {
    let pointer = checked(op, name, tensor, Kind::Float)?.cast::<f32>();
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // SAFETY: `checked` says that the tensor holds `numel` contiguous values of `f32` in this process's memory, which
    // libtorch aligns to 64 bytes. The borrow keeps the tensor and with it the memory. Nothing writes to it in the
    // meantime: this module's callers run kernels only, which write to `Buffer`s, and a `Buffer` cannot be borrowed
    // for writing while it is read as an operand, since each belongs to one place of one call of a layer.
    #[allow(unsafe_code)]
    Ok(unsafe { std::slice::from_raw_parts(pointer, tensor.numel()) })
}

/// Copies the entries of a contiguous boolean tensor on the CPU to `flags`.
pub(super) fn flags(
    op: &'static str,
    name: &str,
    tensor: &Tensor,
    flags: &mut Vec<bool>,
) -> Result<()> {
    let pointer = checked(op, name, tensor, Kind::Bool)?.cast::<u8>();
    flags.clear();
    if tensor.numel() == 0 {
        return Ok(());
    }
    // SAFETY: as in `floats`; a boolean of libtorch is one byte, and every value of a byte is a `u8`.
    #[allow(unsafe_code)]
    let bytes = unsafe { std::slice::from_raw_parts(pointer, tensor.numel()) };
    flags.extend(bytes.iter().map(|byte| *byte != 0));
    Ok(())
}

/// A size of libtorch as one of nac-engine.
pub(super) fn size_of(op: &'static str, name: &str, size: i64) -> Result<usize> {
    usize::try_from(size).map_err(|_| ModuleError::Shape {
        op,
        name: name.to_owned(),
        expected: "at least zero".into(),
        found: vec![size],
    })
}

/// Where the values of a tensor are, if it is contiguous, on the CPU and of `kind`.
fn checked(
    op: &'static str,
    name: &str,
    tensor: &Tensor,
    kind: Kind,
) -> Result<*const std::ffi::c_void> {
    let is = (tensor.kind(), tensor.device(), tensor.is_contiguous());
    if is == (kind, Device::Cpu, true) {
        return Ok(tensor.data_ptr());
    }
    Err(ModuleError::Shape {
        op,
        name: name.to_owned(),
        expected: format!("of contiguous {kind:?} on the CPU, not {is:?}"),
        found: tensor.size(),
    })
}

/// A tensor that one call of a layer writes in every step. It is allocated again only if its shape changes or if its
/// values were given away for longer than a step.
#[derive(Debug, Default)]
pub(super) struct Buffer(Option<Owned>);

#[derive(Debug)]
struct Owned {
    tensor: Tensor,
    generation: u64,
}

impl Buffer {
    /// The buffer with this shape, to be overwritten.
    pub(super) fn writable(&mut self, size: &[i64], generation: u64) -> Result<&mut [f32]> {
        let fits = |owned: &&mut Owned| {
            owned.generation == generation && owned.tensor.size().as_slice() == size
        };
        if self.0.as_mut().filter(fits).is_none() {
            self.0 = Some(Owned {
                tensor: Tensor::f_empty(size, (Kind::Float, Device::Cpu))?,
                generation,
            });
        }
        let Some(owned) = &mut self.0 else {
            return Ok(&mut []);
        };
        let count = owned.tensor.numel();
        if count == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the tensor was made above, of contiguous `f32` on the CPU, 64-byte aligned; `f32` has no invalid
        // values. Its memory belongs to this buffer alone: whoever got `tensor()` in an earlier step is done with it
        // (the contract of `FusedExecutor`), and the exclusive borrow keeps others of this step away.
        #[allow(unsafe_code)]
        Ok(unsafe { std::slice::from_raw_parts_mut(owned.tensor.data_ptr().cast::<f32>(), count) })
    }

    /// The values, as of the last write; empty before the first.
    pub(super) fn values(&self) -> Result<&[f32]> {
        match &self.0 {
            Some(owned) => floats("fused block", "buffer", &owned.tensor),
            None => Ok(&[]),
        }
    }

    /// The tensor, which shares the buffer's memory; undefined before the first write.
    pub(super) fn tensor(&self) -> Tensor {
        match &self.0 {
            Some(owned) => owned.tensor.shallow_clone(),
            None => Tensor::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_memory_until_its_shape_or_generation_changes() {
        let mut buffer = Buffer::default();
        assert!(!buffer.tensor().defined());
        buffer.writable(&[2, 3], 0).unwrap().fill(1.5);
        let first = buffer.tensor();
        assert_eq!(buffer.values().unwrap(), [1.5; 6]);
        buffer.writable(&[2, 3], 0).unwrap()[0] = 4.0;
        assert_eq!(first.double_value(&[0, 0]), 4.0);
        buffer.writable(&[2, 3], 1).unwrap().fill(0.0);
        assert_eq!(first.double_value(&[0, 0]), 4.0);
        assert_eq!(buffer.writable(&[0, 3], 1).unwrap().len(), 0);
    }

    #[test]
    fn other_memory_is_refused() {
        let square = Tensor::zeros([3, 3], (Kind::Float, Device::Cpu));
        assert_eq!(floats("op", "x", &square).unwrap().len(), 9);
        let double = square.to_kind(Kind::Double);
        for refused in [square.transpose(0, 1), double] {
            let error = floats("op", "x", &refused).unwrap_err().to_string();
            assert!(error.contains("op: `x`"), "{error}");
        }
        let mut found = vec![false];
        assert!(flags("op", "x", &square, &mut found).is_err());
        flags("op", "x", &square.ge(0.0), &mut found).unwrap();
        assert_eq!(found, [true; 9]);
    }
}
