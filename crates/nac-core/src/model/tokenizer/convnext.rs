//! Settings of the ConvNeXt tokenizer of images.

use serde::{Deserialize, Serialize};

use crate::model::ConfigError;

/// Settings of the image tokenizer made of the first stages of a ConvNeXt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConvNextConfig {
    /// Blocks per stage. Default `[1, 0]`.
    pub depths: Vec<usize>,
    /// Width of each stage. Default `[96, 192]`.
    pub dims: Vec<usize>,
    /// Side and stride of the stem's patches in pixels; each further stage halves the map. Default 4.
    pub stem_patch: usize,
    /// Dimension of the positional grid; 0 for none. Default 64.
    pub grid_dim: usize,
    /// Height and width of the positional grid in cells; as many as tokens if not set. Default not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_size: Option<[usize; 2]>,
    /// Initial scale of each block's residual branch. Default 1e-6; short trainings want more.
    pub layer_scale: f64,
}

impl Default for ConvNextConfig {
    fn default() -> Self {
        Self {
            depths: vec![1, 0],
            dims: vec![96, 192],
            stem_patch: 4,
            grid_dim: 64,
            grid_size: None,
            layer_scale: 1e-6,
        }
    }
}

impl ConvNextConfig {
    /// Side of the square of pixels that one token covers.
    ///
    /// # Errors
    /// [`ConfigError::Setting`]: depths and widths differ in number, or an image of `height × width` pixels
    /// is smaller than one token.
    pub fn stride(&self, height: usize, width: usize) -> Result<usize, ConfigError> {
        if self.dims.is_empty() || self.dims.len() != self.depths.len() {
            return Err(ConfigError::Setting {
                name: "convnext.depths".into(),
                value: format!("{:?}", self.depths),
                reason: format!("must have one entry for each of the widths {:?}", self.dims),
            });
        }
        let stride = self.stem_patch << (self.dims.len() - 1);
        if self.stem_patch == 0 || height < stride || width < stride {
            return Err(ConfigError::Setting {
                name: "convnext.stem_patch".into(),
                value: self.stem_patch.to_string(),
                reason: format!(
                    "one token covers {stride} pixels, more than an image of {height}x{width} has"
                ),
            });
        }
        Ok(stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_set_the_stride_and_must_fit_the_image() {
        let config = ConvNextConfig::default();
        assert_eq!(config.stride(32, 64).unwrap(), 8);
        let error = config.stride(32, 7).unwrap_err().to_string();
        assert!(error.contains("covers 8 pixels"), "{error}");
        let config = ConvNextConfig {
            depths: vec![1],
            ..Default::default()
        };
        let error = config.stride(32, 32).unwrap_err().to_string();
        assert!(error.contains("convnext.depths"), "{error}");
    }
}
