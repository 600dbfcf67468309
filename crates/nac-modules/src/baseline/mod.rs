//! The non-modular baseline the paper compares with.

mod perceiver_io;

pub use perceiver_io::{PerceiverIo, PerceiverIoConfig};
