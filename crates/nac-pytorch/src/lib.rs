//! Neural Attentive Circuits beside the authors' PyTorch code.
//!
//! - [`settings`]: the reference's options as ours; [`yaml`]: its settings files, in and out;
//! - [`weights`]: files of weights in and out, `.pt` and safetensors;
//! - [`parity`]: comparison with goldens of the reference implementation, as `nac parity` makes it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod parity;
pub mod settings;
pub mod weights;
pub mod yaml;
