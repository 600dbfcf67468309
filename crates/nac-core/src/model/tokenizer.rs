//! Settings of the tokenizers.

use serde::{Deserialize, Serialize};

use super::{ConfigError, InputKind};

/// Settings of the image tokenizer.
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
                name: "tokenizer.convnext.depths".into(),
                value: format!("{:?}", self.depths),
                reason: format!("must have one entry for each of the widths {:?}", self.dims),
            });
        }
        let stride = self.stem_patch << (self.dims.len() - 1);
        if self.stem_patch == 0 || height < stride || width < stride {
            return Err(ConfigError::Setting {
                name: "tokenizer.convnext.stem_patch".into(),
                value: self.stem_patch.to_string(),
                reason: format!(
                    "one token covers {stride} pixels, more than an image of {height}x{width} has"
                ),
            });
        }
        Ok(stride)
    }
}

/// Settings of the sequence tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Features per symbol. Default 192.
    pub dim: usize,
    /// Features per position. Default 64.
    pub position_dim: usize,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            dim: 192,
            position_dim: 64,
        }
    }
}

/// Settings of the tokenizer of feature vectors: a linear layer beside a learned vector for each position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Outputs of the linear layer. Default 192.
    pub dim: usize,
    /// Features per position; 0 for vectors without order. Default 64.
    pub position_dim: usize,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            dim: 192,
            position_dim: 64,
        }
    }
}

/// Settings of the tokenizer of points: a linear layer on Fourier features of the coordinates.
///
/// A coordinate `x` becomes `x`, and `sin(2^k π x)` and `cos(2^k π x)` for each `k` below the number of bands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointsConfig {
    /// Outputs of the linear layer. Default 256.
    pub dim: usize,
    /// Frequencies, each twice the one before. Default 6.
    pub bands: usize,
}

impl Default for PointsConfig {
    fn default() -> Self {
        Self { dim: 256, bands: 6 }
    }
}

/// The tokenizer of one input. In a file, a table with `kind = "convnext"`, `"pixels"`, `"embedding"`, `"features"` or
/// `"points"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum TokenizerConfig {
    /// Images, through the first stages of a ConvNeXt.
    ConvNext(ConvNextConfig),
    /// Images, each pixel a token.
    Pixels {},
    /// Sequences of symbols.
    Embedding(EmbeddingConfig),
    /// Feature vectors.
    Features(FeaturesConfig),
    /// Sets of points.
    Points(PointsConfig),
}

impl TokenizerConfig {
    /// The name of the kind, as in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConvNext(_) => "convnext",
            Self::Pixels {} => "pixels",
            Self::Embedding(_) => "embedding",
            Self::Features(_) => "features",
            Self::Points(_) => "points",
        }
    }

    /// Whether it makes tokens of inputs of this kind.
    #[must_use]
    pub fn reads(&self, kind: &InputKind) -> bool {
        matches!(
            (self, kind),
            (Self::ConvNext(_) | Self::Pixels {}, InputKind::Image { .. })
                | (Self::Embedding(_), InputKind::Tokens { .. })
                | (Self::Features(_), InputKind::Features { .. })
                | (Self::Points(_), InputKind::Points { .. })
        )
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
        assert!(error.contains("tokenizer.convnext.depths"), "{error}");
    }
}
