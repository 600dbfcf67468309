//! Settings of the convolutional stem for small images.

use serde::{Deserialize, Serialize};

use crate::model::ConfigError;

/// Settings of the convolutional stem: 3×3 convolutions, each with max pooling, layer norm over channels and GELU, then
/// perhaps a positional grid beside the features.
///
/// Before them, a fixed convolution may whiten patches of pixels: its filters are the principal components of the
/// training images' patches, scaled to equal variance, and their negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConvStemConfig {
    /// Channels that each convolution gives. Default `[32, 64, 128]`.
    pub widths: Vec<usize>,
    /// Stride of each convolution. Default `[1, 1, 1]`.
    pub strides: Vec<usize>,
    /// Side of the max pooling after each convolution; 1 for none. Default `[2, 2, 1]`.
    pub pools: Vec<usize>,
    /// Dimension of the positional grid; 0 for none. Default 64.
    pub grid_dim: usize,
    /// Side of the patches that are whitened, 2 or more; 0 for no whitening. Default 0.
    pub whitening: usize,
    /// Training images that the principal components are computed from. Default 5000.
    pub whitening_images: usize,
}

impl Default for ConvStemConfig {
    fn default() -> Self {
        Self {
            widths: vec![32, 64, 128],
            strides: vec![1, 1, 1],
            pools: vec![2, 2, 1],
            grid_dim: 64,
            whitening: 0,
            whitening_images: 5000,
        }
    }
}

impl ConvStemConfig {
    /// Refuses lists of different lengths and sizes of zero.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] that names the list.
    pub fn check(&self) -> Result<(), ConfigError> {
        let lists = [
            ("widths", &self.widths),
            ("strides", &self.strides),
            ("pools", &self.pools),
        ];
        for (name, list) in lists {
            let fits = list.len() == self.widths.len() && !list.is_empty() && !list.contains(&0);
            if !fits {
                return Err(ConfigError::Setting {
                    name: format!("conv_stem.{name}"),
                    value: format!("{list:?}"),
                    reason: "must have a number above 0 for each convolution, as `widths`".into(),
                });
            }
        }
        let (name, value) = match (self.whitening, self.whitening_images) {
            (1, _) => ("whitening", 1),
            (2.., 0) => ("whitening_images", 0),
            _ => return Ok(()),
        };
        Err(ConfigError::Setting {
            name: format!("conv_stem.{name}"),
            value: value.to_string(),
            reason: "must be at least 2, or `whitening` 0 for none".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_whitening_are_checked() {
        let refused = |change: &dyn Fn(&mut ConvStemConfig), name: &str| {
            let mut config = ConvStemConfig::default();
            config.check().unwrap();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        };
        refused(&|c| c.widths.clear(), "conv_stem.widths");
        refused(&|c| c.strides.push(1), "conv_stem.strides");
        refused(&|c| c.pools[1] = 0, "conv_stem.pools");
        refused(&|c| c.whitening = 1, "conv_stem.whitening =");
        refused(
            &|c| (c.whitening, c.whitening_images) = (2, 0),
            "conv_stem.whitening_images",
        );
    }
}
