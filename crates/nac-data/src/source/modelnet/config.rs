//! Settings of the ModelNet data sets.

use serde::{Deserialize, Serialize};

/// The form in which shapes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelNetForm {
    /// Points on the surfaces: of the HDF5 files, or drawn from the meshes by area.
    #[default]
    Points,
    /// Occupancy of a grid of 30³ cells.
    Voxels,
    /// The centres of those occupied cells of the grid that have a free neighbour, as points.
    VoxelPoints,
}

/// Settings of `modelnet10` and `modelnet40`: the table `[data.modelnet]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelNetConfig {
    /// `points` (default), `voxels` or `voxel-points`.
    pub form: ModelNetForm,
}
