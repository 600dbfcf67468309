//! The data sets of this crate, one file or folder each.

pub mod cifar10;
pub mod cifar100;
pub(crate) mod class_folders;
pub mod csv_table;
pub mod cub;
pub mod digits;
mod entry;
mod image_files;
pub mod image_folder;
pub mod imagenet;
mod images;
mod json_rows;
pub mod listops;
pub mod modelnet;
pub mod nlvr;
pub mod nlvr2;
pub mod points;
pub mod shapes3d;
pub mod sort_of_clevr;
mod synsets;
pub mod text;
pub mod tiny_imagenet;

pub use entry::{Entry, Origin, Request};
