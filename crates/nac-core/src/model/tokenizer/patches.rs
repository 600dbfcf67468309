//! Settings of the tokenizers that cut an image or a grid of voxels into patches.

use serde::{Deserialize, Serialize};

/// Settings of the patch tokenizer of images: a linear layer on square patches beside a learned vector for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// Side of a patch in pixels; zeros fill up patches that reach beyond the image. Default 4.
    pub side: usize,
    /// Outputs of the linear layer. Default 192.
    pub dim: usize,
    /// Features per position; 0 for none. Default 64.
    pub position_dim: usize,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        Self {
            side: 4,
            dim: 192,
            position_dim: 64,
        }
    }
}

/// Settings of the tokenizer of voxels: a linear layer on cubes of cells beside a learned vector for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoxelsConfig {
    /// Side of a cube in cells; zeros fill up cubes that reach beyond the grid. Default 6.
    pub side: usize,
    /// Outputs of the linear layer. Default 192.
    pub dim: usize,
    /// Features per position; 0 for none. Default 64.
    pub position_dim: usize,
}

impl Default for VoxelsConfig {
    fn default() -> Self {
        Self {
            side: 6,
            dim: 192,
            position_dim: 64,
        }
    }
}
