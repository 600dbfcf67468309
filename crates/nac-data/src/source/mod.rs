//! The data sets of this crate, one file or folder each.

pub mod cifar10;
pub(crate) mod class_folders;
pub mod csv_table;
pub mod digits;
mod entry;
mod images;
pub mod listops;
pub mod modelnet;
pub mod nlvr;
pub mod points;
pub mod shapes3d;
pub mod sort_of_clevr;
pub mod text;

pub use entry::{Entry, Origin, Request};
