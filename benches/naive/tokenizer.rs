//! The first stages of a ConvNeXt and a positional grid, from images to tokens.
//!
//! Source: reference `model/external/convnext.py` and `model/nc/tokenizers.py`. Norms over the channels of a map are
//! written out as there: mean, squared differences, root.

use nac_modules::Result;
use nac_modules::tokenizer::ConvNextConfig;
use tch::{Kind, Tensor};

use super::layer::linear;
use super::weights::NamedTensors;

const EPSILON: f64 = 1e-6;

/// - image: `[batch, channels, height, width]`, result: `[batch, tokens, token]`
pub(super) fn tokens(
    weights: &NamedTensors<'_>,
    image: &Tensor,
    config: &ConvNextConfig,
) -> Result<Tensor> {
    let backbone = weights.sub("backbone");
    let mut x = image.shallow_clone();
    for (stage, &depth) in config.depths.iter().enumerate() {
        let down = backbone.sub(&format!("downsample_layers.{stage}"));
        x = if stage == 0 {
            norm_channels(&down.sub("1"), &convolve(&down.sub("0"), &x)?)?
        } else {
            convolve(&down.sub("1"), &norm_channels(&down.sub("0"), &x)?)?
        };
        for index in 0..depth {
            x = block(&backbone.sub(&format!("stages.{stage}.{index}")), &x)?;
        }
    }
    if let Some(grid) = weights.sub("positional_grid").find("grid") {
        let grid = grid
            .f_unsqueeze(0)?
            .f_expand([x.size()[0], -1, -1, -1], false)?;
        x = Tensor::f_cat(&[x, grid], 1)?;
    }
    Ok(x.f_flatten(2, 3)?.f_permute([0, 2, 1])?)
}

/// A convolution whose stride is its kernel.
fn convolve(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    let weight = weights.get("weight")?;
    let patch = weight.size()[2];
    let (bias, stride) = (weights.find("bias"), [patch, patch]);
    Ok(x.f_conv2d(weight, bias, stride, [0, 0], [1, 1], 1)?)
}

/// Norm over the channels of `[batch, channels, height, width]`.
fn norm_channels(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    let mean = |x: &Tensor| x.f_mean_dim([1].as_slice(), true, None::<Kind>);
    let centred = x.f_sub(&mean(x)?)?;
    let spread = mean(&centred.f_pow_tensor_scalar(2)?)?
        .f_add_scalar(EPSILON)?
        .f_sqrt()?;
    let per_channel = |name: &str| -> Result<Tensor> {
        let values = weights.get(name)?;
        Ok(values.f_view([-1, 1, 1])?)
    };
    let normal = centred.f_div(&spread)?;
    Ok(per_channel("weight")?
        .f_mul(&normal)?
        .f_add(&per_channel("bias")?)?)
}

/// A ConvNeXt block.
fn block(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    let depthwise = weights.sub("dwconv");
    let weight = depthwise.get("weight")?;
    let channels = weight.size()[0];
    let bias = depthwise.find("bias");
    let local = x.f_conv2d(weight, bias, [1, 1], [3, 3], [1, 1], channels)?;
    let local = local.f_permute([0, 2, 3, 1])?;
    let norm = weights.sub("norm");
    let (gain, bias) = (norm.get("weight")?, norm.get("bias")?);
    let local = local.f_layer_norm([channels], Some(gain), Some(bias), EPSILON, false)?;
    let hidden = linear(&weights.sub("pwconv1"), &local)?.f_gelu("none")?;
    let local = weights
        .get("gamma")?
        .f_mul(&linear(&weights.sub("pwconv2"), &hidden)?)?;
    Ok(x.f_add(&local.f_permute([0, 3, 1, 2])?)?)
}
