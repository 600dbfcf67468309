//! Tokenizer of patches: squares of an image or cubes of voxels through a linear layer, beside learned positions.

use nac_core::model::spec::PatchesSpec;
use tch::Tensor;

use super::Tokenizer;
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::params::{Init, Scope};
use crate::tokens::Tokens;

/// A linear layer on patches. Parameters `linear` and, if patches have positions, `positions`,
/// `[patches, position_dim]`.
///
/// Reads the input that [`reading`](Self::reading) names: an image, `[batch, channels, height, width]`, or voxels,
/// `[batch, x, y, z]`.
#[derive(Debug)]
pub struct PatchTokenizer {
    linear: Linear,
    positions: Option<Tensor>,
    spec: PatchesSpec,
    input: String,
}

impl PatchTokenizer {
    /// The tokenizer of `spec`, which reads the input `image`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &PatchesSpec) -> Result<Self> {
        let linear = Linear::from_spec(scope, &spec.linear)?;
        let mut scope = scope.sub(&spec.path);
        let size = [spec.tokens() as i64, spec.position_dim as i64];
        let positions = (spec.position_dim > 0)
            .then(|| scope.parameter("positions", &size, Init::Normal { std: 1.0 }))
            .transpose()?;
        Ok(Self {
            linear,
            positions,
            spec: spec.clone(),
            input: "image".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// An image or voxels as an array, `[batch, channels, depth, height, width]`: images have no depth, voxels no
    /// channels.
    fn array(&self, x: &Tensor) -> Result<Tensor> {
        let (channels, [depth, height, width]) = (self.spec.channels, self.spec.size);
        let [image, voxels] = [[channels, height, width], [depth, height, width]]
            .map(|size| size.map(|size| size as i64));
        let size = x.size();
        let found = size.get(1..).unwrap_or_default();
        if (depth == 1 && found == image) || (channels == 1 && found == voxels) {
            let whole = [size[0], channels as i64, voxels[0], voxels[1], voxels[2]];
            return Ok(x.f_reshape(whole)?);
        }
        Err(ModuleError::Shape {
            op: "PatchTokenizer",
            name: self.input.clone(),
            expected: format!("[batch, channels or depth {channels}x{depth}, {height}, {width}]"),
            found: size,
        })
    }

    /// The values of each patch.
    ///
    /// # Shapes
    /// - x: `[batch, channels, depth, height, width]`
    /// - output: `[batch, patches, channels · depth · height · width of a patch]`
    fn unfold(&self, x: &Tensor) -> Result<Tensor> {
        let (map, side) = (self.spec.map(), self.spec.side);
        let missing = |axis: usize| (map[axis] * side[axis] - self.spec.size[axis]) as i64;
        let padding = [0, missing(2), 0, missing(1), 0, missing(0)];
        let x = x.f_constant_pad_nd(padding)?;
        let mut split = vec![x.size()[0], self.spec.channels as i64];
        for axis in 0..3 {
            split.extend([map[axis] as i64, side[axis] as i64]);
        }
        let (batch, values) = (split[0], self.spec.linear.input as i64);
        let x = x.f_reshape(&split)?.f_permute([0, 2, 4, 6, 1, 3, 5, 7])?;
        Ok(x.f_reshape([batch, self.spec.tokens() as i64, values])?)
    }
}

impl Tokenizer for PatchTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let x = self.array(inputs.get(&self.input)?)?;
        let mut tokens = self.linear.forward(&self.unfold(&x)?)?;
        if let Some(positions) = &self.positions {
            let batch = tokens.size()[0];
            let positions = positions.unsqueeze(0).f_expand([batch, -1, -1], false)?;
            tokens = Tensor::f_cat(&[tokens, positions], -1)?;
        }
        ctx.record("tokens", &tokens);
        Tokens::new(tokens)
    }
}
