//! Weights in and out: safetensors files, checkpoints of runs, and PyTorch's `.pt` files.
//!
//! ```text
//! .safetensors ─┐                                  ┌─► .safetensors
//! checkpoint   ─┼─► read ─► tensors by name ─► write┤
//! .pt, .pth    ─┘            │                      └─► .pt
//!                            └─► check against a model
//! ```
//!
//! Every tensor keeps its bytes. Nothing in a file is ever executed: see [`PickleError`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use nac_pytorch::weights::{Format, read, write};
//! use tch::Tensor;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("weights.pt");
//! let tensors = BTreeMap::from([("head.bias".to_owned(), Tensor::from_slice(&[0.5_f32, -1.0]))]);
//! write(&path, &tensors, Format::Torch, false)?;
//! assert_eq!(read(&path, None)?.tensors, tensors);
//! # Ok::<(), nac_pytorch::weights::WeightsError>(())
//! ```

mod check;
mod error;
mod format;
mod inspect;
mod names;
mod pickle;
mod read;
mod torch;
mod write;

pub use check::check;
pub use error::{Result, WeightsError};
pub use format::Format;
pub use glob::Pattern;
pub use inspect::{Contents, TensorHeader, TensorPart, inspect};
pub use names::Names;
pub use pickle::PickleError;
pub use read::{StateDict, read};
pub use write::{write, write_text};

use tch::{Device, Kind, TchError, Tensor};

/// The elements of a tensor one after the other, little end first.
fn bytes_of(tensor: &Tensor) -> std::result::Result<Vec<u8>, TchError> {
    let tensor = tensor
        .f_detach()?
        .f_to_device(Device::Cpu)?
        .f_contiguous()?;
    let mut bytes = vec![0_u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

/// Short name of an element type, such as `f32`.
fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Bool => "bool".into(),
        Kind::Uint8 => "u8".into(),
        Kind::Int8 => "i8".into(),
        Kind::Int16 => "i16".into(),
        Kind::Int => "i32".into(),
        Kind::Int64 => "i64".into(),
        Kind::Half => "f16".into(),
        Kind::BFloat16 => "bf16".into(),
        Kind::Float => "f32".into(),
        Kind::Double => "f64".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}
