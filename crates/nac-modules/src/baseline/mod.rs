//! The non-modular baseline the paper compares with.

mod perceiver_io;

pub use nac_core::model::PerceiverIoConfig;
pub use perceiver_io::{PerceiverCore, PerceiverIo};
