//! Point clouds from files: meshes, lists of points, arrays, and a folder of them.
//!
//! A file is read ([`read`]) into a [`Shape`]; a number of points is drawn from it, by area from a mesh, and they are
//! centred and scaled into the unit sphere ([`to_unit_sphere`]). [`read_points`] does all of it, for a data set and for a
//! single file that a model is given.

mod clouds;
mod draw;
mod file;
pub mod folder;
mod hdf5;
mod lines;
mod normalize;
mod npy;
mod off;
mod ply;
pub(crate) mod point_files;
mod shape;
mod text;
mod voxel_file;

pub use clouds::{Clouds, info};
pub use draw::draw;
pub use file::{EXTENSIONS, MAX_BYTES, parse, read, read_points};
pub use normalize::to_unit_sphere;
pub use npy::Array;
pub use point_files::parse_point_file;
pub use shape::{Mesh, Shape};
pub use voxel_file::{parse_voxels, read_voxels};

#[cfg(test)]
mod tests;
