//! ConvNeXt block and the channel-wise layer norm it needs.
//!
//! Source: ConvNeXt (arXiv 2201.03545): depth-wise 7×7 convolution, layer norm, two point-wise
//! projections with GELU, learned scale `gamma`, residual. Epsilon of the norms is 1e-6.

use tch::Tensor;

use super::{DropPath, Linear};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

const EPSILON: f64 = 1e-6;

/// Layer norm over the channels of a map. Parameters `weight`, `bias`, both `[channels]`.
#[derive(Debug)]
pub struct LayerNorm2d {
    weight: Tensor,
    bias: Tensor,
    channels: i64,
}

impl LayerNorm2d {
    /// A norm over `channels` channels.
    ///
    /// # Errors
    /// `channels` is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, channels: usize) -> Result<Self> {
        let channels = shape::positive("channels", channels)?;
        let weight = scope.parameter("weight", &[channels], Init::Ones)?;
        let bias = scope.parameter("bias", &[channels], Init::Zeros)?;
        Ok(Self {
            weight,
            bias,
            channels,
        })
    }

    /// Normalises each position over its channels.
    ///
    /// # Shapes
    /// - x: `[batch, channels, height, width]`
    /// - output: as x
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let channels_last = x.f_permute([0, 2, 3, 1])?;
        Ok(self
            .forward_channels_last(&channels_last)?
            .f_permute([0, 3, 1, 2])?)
    }

    /// Normalises maps whose channels are last.
    ///
    /// # Shapes
    /// - x: `[batch, height, width, channels]`
    /// - output: as x
    ///
    /// # Errors
    /// The last dimension of `x` is not the channels.
    pub fn forward_channels_last(&self, x: &Tensor) -> Result<Tensor> {
        shape::check_last("LayerNorm2d", "x", x, self.channels)?;
        Ok(x.f_layer_norm(
            [self.channels],
            Some(&self.weight),
            Some(&self.bias),
            EPSILON,
            false,
        )?)
    }
}

/// One ConvNeXt block. Parameters `dwconv`, `norm`, `pwconv1`, `pwconv2`, `gamma`.
#[derive(Debug)]
pub struct ConvNextBlock {
    depthwise: (Tensor, Tensor),
    norm: LayerNorm2d,
    expand: Linear,
    contract: Linear,
    gamma: Tensor,
    channels: i64,
    drop_path: DropPath,
}

impl ConvNextBlock {
    /// A block on `channels` channels whose `gamma` starts at `layer_scale`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        channels: usize,
        layer_scale: f64,
        drop_path: DropPath,
    ) -> Result<Self> {
        let size = shape::positive("channels", channels)?;
        let std = Init::TruncatedNormal { std: 0.02 };
        let weight = scope
            .sub("dwconv")
            .parameter("weight", &[size, 1, 7, 7], std)?;
        let bias = scope
            .sub("dwconv")
            .parameter("bias", &[size], Init::Zeros)?;
        Ok(Self {
            depthwise: (weight, bias),
            norm: LayerNorm2d::new(scope.sub("norm"), channels)?,
            expand: Linear::new(scope.sub("pwconv1"), channels, 4 * channels, true)?,
            contract: Linear::new(scope.sub("pwconv2"), 4 * channels, channels, true)?,
            gamma: scope.parameter("gamma", &[size], Init::Constant(layer_scale))?,
            channels: size,
            drop_path,
        })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - x: `[batch, channels, height, width]`
    /// - output: as x
    ///
    /// # Errors
    /// The shape does not fit, or the source of noise fails.
    pub fn forward(&self, x: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let channels = ("channels", Some(self.channels));
        let expected = [("batch", None), channels, ("height", None), ("width", None)];
        shape::check("ConvNextBlock", "x", x, &expected)?;
        let (weight, bias) = &self.depthwise;
        let local = x.conv2d(weight, Some(bias), [1, 1], [3, 3], [1, 1], self.channels);
        let local = self
            .norm
            .forward_channels_last(&local.permute([0, 2, 3, 1]))?;
        let hidden = self.expand.forward(&local)?.gelu("none");
        let local = self.contract.forward(&hidden)? * &self.gamma;
        Ok(x + self.drop_path.forward(local.permute([0, 3, 1, 2]), ctx)?)
    }
}
