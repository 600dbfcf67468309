//! The resolved convolutional stem.

use serde::Serialize;

use super::convnext::GridSpec;
use crate::model::spec::layer::{NormSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, ConvStemConfig};

/// A fixed convolution whose filters are principal components of patches and their negatives, then GELU.
///
/// Zeros around the image keep the size of the map: `(side − 1) / 2`, rounded down, before it, the others after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhiteningSpec {
    /// Path of `weight`, `[output, input, side, side]`, which is not trained, and `bias`, `[output]`, which is.
    pub path: String,
    /// Channels read.
    pub input: usize,
    /// Channels written, two for each value of a patch.
    pub output: usize,
    /// Side of a patch.
    pub side: usize,
    /// Training images that the components are computed from.
    pub images: usize,
}

impl Node for WhiteningSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (input, output, side) = (self.input, self.output, self.side);
        format!("whitening {input} -> {output} of {side} x {side}")
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let shape = [self.output, self.input, self.side, self.side];
        let weight = OwnTensor {
            trained: false,
            ..trained("weight", &shape)
        };
        vec![weight, trained("bias", &[self.output])]
    }
}

/// A 3×3 convolution with zeros around the map, max pooling, layer norm over channels, GELU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvStageSpec {
    /// Path of `conv.weight`, `[output, input, 3, 3]`, `conv.bias`, `[output]`, and `norm`.
    pub path: String,
    /// Channels read.
    pub input: usize,
    /// Channels written.
    pub output: usize,
    /// Stride of the convolution.
    pub stride: usize,
    /// Side of the max pooling.
    pub pool: usize,
    /// Norm over channels, epsilon 1e-6.
    pub norm: NormSpec,
    /// Height and width of the map after the convolution.
    pub convolved: [usize; 2],
    /// Height and width of the map after the pooling.
    pub map: [usize; 2],
}

impl ConvStageSpec {
    /// Side of the convolution.
    pub const SIDE: usize = 3;
}

impl Node for ConvStageSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (input, output, [height, width]) = (self.input, self.output, self.map);
        format!("convolution {input} -> {output}, {height} x {width} cells")
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.norm]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let weight = [self.output, self.input, Self::SIDE, Self::SIDE];
        vec![
            trained("conv.weight", &weight),
            trained("conv.bias", &[self.output]),
        ]
    }
}

/// Convolutions, then perhaps a positional grid beside the features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvStemSpec {
    /// Path of `whitening`, `stages` and `positional_grid`.
    pub path: String,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image.
    pub image: [usize; 2],
    /// Whitening of pixels, if any.
    pub whitening: Option<WhiteningSpec>,
    /// Convolutions in order.
    pub stages: Vec<ConvStageSpec>,
    /// Positional grid, if any.
    pub grid: Option<GridSpec>,
    /// Features of a token.
    pub token_dim: usize,
    /// Number of tokens.
    pub tokens: usize,
}

impl ConvStemConfig {
    /// The tokenizer with these settings at `path` for images of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`]: lists differ in length, a size is zero, or nothing is left of an image.
    pub fn resolve(&self, path: &str, image: [usize; 3]) -> Result<ConvStemSpec, ConfigError> {
        self.check()?;
        let [channels, height, width] = image;
        let mut input = positive("channels", channels)?;
        let whitening = (self.whitening > 0).then(|| WhiteningSpec {
            path: join(path, "whitening"),
            input,
            output: 2 * input * self.whitening * self.whitening,
            side: self.whitening,
            images: self.whitening_images,
        });
        input = whitening.as_ref().map_or(input, |layer| layer.output);
        let mut map = [height, width];
        let mut stages = Vec::with_capacity(self.widths.len());
        let settings = self.widths.iter().zip(&self.strides).zip(&self.pools);
        for (index, ((&output, &stride), &pool)) in settings.enumerate() {
            let path = join(path, &format!("stages.{index}"));
            let convolved = map.map(|size| size.div_ceil(stride));
            map = convolved.map(|size| size / pool);
            if map.contains(&0) {
                return Err(ConfigError::Setting {
                    name: "conv_stem.pools".into(),
                    value: format!("{:?}", self.pools),
                    reason: format!("nothing is left of an image of {height}x{width}"),
                });
            }
            stages.push(ConvStageSpec {
                norm: NormSpec::new(join(&path, "norm"), output),
                path,
                input,
                output,
                stride,
                pool,
                convolved,
                map,
            });
            input = output;
        }
        let grid = GridSpec {
            path: join(path, "positional_grid"),
            dim: self.grid_dim,
            size: map,
        };
        Ok(ConvStemSpec {
            path: path.to_owned(),
            channels,
            image: [height, width],
            whitening,
            stages,
            grid: (self.grid_dim > 0).then_some(grid),
            token_dim: input + self.grid_dim,
            tokens: map[0] * map[1],
        })
    }
}

impl Node for ConvStemSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (tokens, dim) = (self.tokens, self.token_dim);
        format!("convolutional stem, {tokens} tokens of {dim}")
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = Vec::new();
        all.extend(self.whitening.as_ref().map(|layer| layer as &dyn Node));
        all.extend(self.stages.iter().map(|stage| stage as &dyn Node));
        all.extend(self.grid.as_ref().map(|grid| grid as &dyn Node));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_pools_make_maps_smaller_until_nothing_is_left() {
        let config = ConvStemConfig {
            widths: vec![5, 7],
            strides: vec![1, 2],
            pools: vec![3, 1],
            whitening: 2,
            ..Default::default()
        };
        let spec = config.resolve("", [3, 32, 31]).unwrap();
        assert_eq!(spec.whitening.as_ref().unwrap().output, 24);
        assert_eq!((spec.stages[0].input, spec.stages[0].map), (24, [10, 10]));
        assert_eq!(
            (spec.stages[1].map, spec.tokens, spec.token_dim),
            ([5, 5], 25, 71)
        );
        let error = config.resolve("", [3, 32, 2]).unwrap_err().to_string();
        assert!(
            error.contains("nothing is left of an image of 32x2"),
            "{error}"
        );
    }
}
