//! The resolved tokenizers of patches.

use serde::Serialize;

use crate::model::spec::layer::{LinearSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, PatchesConfig, VoxelsConfig};

/// Patches of an array through a linear layer, perhaps a learned vector for each beside the result.
///
/// An image is an array of depth 1. Zeros fill up patches that reach beyond the array. Patches follow each other with
/// the last axis fastest; the values of a patch are in the order channel, depth, height, width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatchesSpec {
    /// Path of `linear` and `positions`, `[patches, position_dim]`.
    pub path: String,
    /// Channels of the array.
    pub channels: usize,
    /// Depth, height and width of the array.
    pub size: [usize; 3],
    /// Depth, height and width of a patch.
    pub side: [usize; 3],
    /// From the values of a patch to the features of a token.
    pub linear: LinearSpec,
    /// Features of a position; 0 for none.
    pub position_dim: usize,
}

impl PatchesSpec {
    fn new(
        path: &str,
        (channels, size, side): (usize, [usize; 3], [usize; 3]),
        (dim, position_dim): (usize, usize),
    ) -> Result<Self, ConfigError> {
        let sizes = size.iter().chain(&side);
        sizes
            .copied()
            .try_for_each(|size| positive("side", size).map(|_| ()))?;
        let values = positive("channels", channels)? * side.iter().product::<usize>();
        Ok(Self {
            linear: LinearSpec::new(join(path, "linear"), values, positive("dim", dim)?, true),
            path: path.to_owned(),
            channels,
            size,
            side,
            position_dim,
        })
    }

    /// Patches along each axis.
    #[must_use]
    pub fn map(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.size[axis].div_ceil(self.side[axis]))
    }

    /// Number of patches.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.map().iter().product()
    }

    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.linear.output + self.position_dim
    }
}

impl PatchesConfig {
    /// The tokenizer with these settings at `path` for images of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(&self, path: &str, image: [usize; 3]) -> Result<PatchesSpec, ConfigError> {
        let [channels, height, width] = image;
        let sizes = (channels, [1, height, width], [1, self.side, self.side]);
        PatchesSpec::new(path, sizes, (self.dim, self.position_dim))
    }
}

impl VoxelsConfig {
    /// The tokenizer with these settings at `path` for voxels of this size.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(&self, path: &str, size: [usize; 3]) -> Result<PatchesSpec, ConfigError> {
        PatchesSpec::new(
            path,
            (1, size, [self.side; 3]),
            (self.dim, self.position_dim),
        )
    }
}

impl Node for PatchesSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let [depth, height, width] = self.side;
        format!("{} patches of {depth} x {height} x {width}", self.tokens())
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.linear]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let positions = trained("positions", &[self.tokens(), self.position_dim]);
        Vec::from_iter((self.position_dim > 0).then_some(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_cover_the_whole_array() {
        let voxels = VoxelsConfig::default().resolve("", [30, 31, 5]).unwrap();
        assert_eq!((voxels.map(), voxels.tokens()), ([5, 6, 1], 30));
        assert_eq!((voxels.linear.input, voxels.token_dim()), (216, 256));
        let image = PatchesConfig::default().resolve("", [3, 9, 8]).unwrap();
        assert_eq!((image.map(), image.linear.input), ([1, 3, 2], 48));
        let config = PatchesConfig {
            side: 0,
            ..Default::default()
        };
        assert!(config.resolve("", [3, 9, 8]).is_err());
    }
}
