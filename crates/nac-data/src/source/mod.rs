//! The data sets of this crate, one file or folder each.

pub mod cifar10;
pub mod digits;
mod images;
pub mod listops;
