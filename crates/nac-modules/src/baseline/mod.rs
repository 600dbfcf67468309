//! Baselines: the non-modular model the paper compares with, and a tokenizer by itself.

mod perceiver_io;
mod stem_only;

pub use nac_core::model::{PerceiverIoConfig, StemOnlyConfig};
pub use perceiver_io::{PerceiverCore, PerceiverIo};
pub use stem_only::{StemOnly, mean_of_tokens};
