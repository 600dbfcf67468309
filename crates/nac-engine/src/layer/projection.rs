//! Projections: modulated by the module's code (ModFC), plain (FC), and weight-demodulated (WModFC).
//!
//! - ModFC: `y = W (x ⊙ (1 + α · n(W_c c))) + b`, with `n` a layer norm or another normalisation;
//! - WModFC: `y = W (x ⊙ s) / sqrt(W² s² + ε) + b` with `s = 1 + W_c c + b_c`;
//! - FC: `y = W x + b`.
//!
//! The factors depend on codes alone: they are computed once for a model ([`Modulation`]). Sources: paper section on
//! ModFC; reference `utils.py`, classes `ModFC`, `WModFC` and `FC`.

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};

use super::at_load::product;
use super::{Operand, Packed, Precision, Tools, matrix};
use crate::blocks::{Blocks, Layout};
use crate::error::Result;
use crate::simd::Row;
use crate::simd::activation::Branch;
use crate::simd::gemm::Gemm;
use crate::weights::Scope;
use nac_core::model::{ModFcConfig, ProjectionKind, ScaleNormalization};

const DEMODULATION_EPSILON: f32 = 1e-6;
const LN_EPSILON: f32 = 1e-5;
const L2_EPSILON: f32 = 1e-12;

/// A projection of features; what depends on codes stands in a [`Modulation`].
///
/// Copies share their numbers.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    packed: Arc<Packed>,
    bias: Option<Arc<[f32]>>,
    inputs: Layout,
    outputs: Layout,
    kind: Arc<Kind>,
}

/// What a projection does with codes.
#[derive(Debug)]
pub(super) enum Kind {
    Plain,
    /// `W_c`, `[in, code]`.
    Modulated {
        code: Array2<f32>,
        gain: f32,
        config: ModFcConfig,
    },
    /// `W_c` `[in, code]`, `b_c`, and the squares of `W`, `[out, in]`.
    Demodulated {
        code: Array2<f32>,
        bias: Vec<f32>,
        squares: Array2<f32>,
    },
}

/// Factors on inputs and outputs of each module; none for one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Modulation {
    pub(crate) input: Option<Blocks>,
    pub(crate) output: Option<Blocks>,
}

/// Where the result of a projection goes.
pub(crate) struct Target<'a> {
    /// Blocks, one every `stride` rows.
    pub(crate) y: &'a mut [Row],
    pub(crate) stride: usize,
    /// A factor on each output.
    pub(crate) gamma: Option<&'a [f32]>,
    /// Whether the result is added to what is there.
    pub(crate) add: bool,
}

impl<'a> Target<'a> {
    pub(crate) fn overwrite(y: &'a mut [Row], stride: usize) -> Self {
        Self {
            y,
            stride,
            gamma: None,
            add: false,
        }
    }
}

/// A projection's tensors as they are in the file.
pub(crate) struct Raw<'w> {
    /// `[out, in]`.
    pub(crate) weight: Cow<'w, [f32]>,
    pub(crate) bias: Option<Cow<'w, [f32]>>,
}

impl Projection {
    /// Tensors of the given kind below `scope`, from `inputs` to `outputs` features.
    pub(crate) fn load(
        scope: &Scope<'_, '_>,
        (inputs, outputs): (Layout, Layout),
        code_dim: usize,
        bias: bool,
        config: &ModFcConfig,
        precision: Precision,
    ) -> Result<Self> {
        let (i, o) = (inputs.features(), outputs.features());
        let raw = Self::raw(scope, i, o, bias, config.kind)?;
        let kind = Self::kind(scope, &raw, i, code_dim, config)?;
        Ok(Self::assemble(&raw, inputs, outputs, kind, precision))
    }

    /// A plain layer, tensors `weight` and `bias`.
    pub(crate) fn plain(
        scope: &Scope<'_, '_>,
        (inputs, outputs): (Layout, Layout),
        bias: bool,
        precision: Precision,
    ) -> Result<Self> {
        let (i, o) = (inputs.features(), outputs.features());
        let weight = scope.tensor("weight", &[o, i])?;
        let bias = bias.then(|| scope.tensor("bias", &[o])).transpose()?;
        let raw = Raw { weight, bias };
        Ok(Self::assemble(
            &raw,
            inputs,
            outputs,
            Kind::Plain,
            precision,
        ))
    }

    /// A plain layer of given numbers, `[out, in]` and `[out]`.
    pub(crate) fn of(
        weight: &[f32],
        bias: Option<&[f32]>,
        (inputs, outputs): (Layout, Layout),
        precision: Precision,
    ) -> Self {
        let raw = Raw {
            weight: weight.into(),
            bias: bias.map(Cow::from),
        };
        Self::assemble(&raw, inputs, outputs, Kind::Plain, precision)
    }

    fn assemble(
        raw: &Raw<'_>,
        inputs: Layout,
        outputs: Layout,
        kind: Kind,
        precision: Precision,
    ) -> Self {
        let bias = raw.bias.as_ref().map(|bias| {
            let mut rows = vec![0.0; outputs.rows()];
            for (output, value) in bias.iter().enumerate() {
                rows[outputs.row(output)] = *value;
            }
            rows.into()
        });
        Self {
            packed: Arc::new(Packed::new(&raw.weight, outputs, inputs, precision)),
            bias,
            inputs,
            outputs,
            kind: Arc::new(kind),
        }
    }

    /// Weight and bias by the names that their kind has.
    pub(crate) fn raw<'w>(
        scope: &Scope<'_, 'w>,
        inputs: usize,
        outputs: usize,
        bias: bool,
        kind: ProjectionKind,
    ) -> Result<Raw<'w>> {
        let (weight_name, bias_name) = match kind {
            ProjectionKind::ModFc => ("native_weight", "native_bias"),
            ProjectionKind::Fc => ("lin.weight", "lin.bias"),
            ProjectionKind::WModFc => ("weight", "bias"),
        };
        Ok(Raw {
            weight: scope.tensor(weight_name, &[outputs, inputs])?,
            bias: bias
                .then(|| scope.tensor(bias_name, &[outputs]))
                .transpose()?,
        })
    }

    /// What the projection of these tensors does with codes.
    pub(super) fn kind(
        scope: &Scope<'_, '_>,
        raw: &Raw<'_>,
        inputs: usize,
        code_dim: usize,
        config: &ModFcConfig,
    ) -> Result<Kind> {
        Ok(match config.kind {
            ProjectionKind::Fc => Kind::Plain,
            ProjectionKind::ModFc => {
                let code = scope.sub("scale").tensor("weight", &[inputs, code_dim])?;
                Kind::Modulated {
                    code: matrix(&code, code_dim),
                    gain: if config.learnable_scale_gain {
                        scope.scalar("scale_gain")?
                    } else {
                        config.scale_gain as f32
                    },
                    config: config.clone(),
                }
            }
            ProjectionKind::WModFc => {
                let scope = scope.sub("modulation");
                let code = scope.tensor("weight", &[inputs, code_dim])?;
                Kind::Demodulated {
                    code: matrix(&code, code_dim),
                    bias: scope.tensor("bias", &[inputs])?.to_vec(),
                    squares: matrix(&raw.weight, inputs).mapv(|w| w * w),
                }
            }
        })
    }

    /// As [`Kind::factors`].
    pub(crate) fn factors(
        &self,
        codes: ArrayView2<'_, f32>,
    ) -> (Option<Array2<f32>>, Option<Array2<f32>>) {
        self.kind.factors(codes)
    }

    /// The factors of these modules in blocks. `codes`: `[modules, code]`.
    pub(crate) fn modulation(&self, codes: ArrayView2<'_, f32>) -> Modulation {
        let (input, output) = self.factors(codes);
        Modulation {
            input: input.map(|x| Blocks::from_items(x.view(), self.inputs)),
            output: output.map(|x| Blocks::from_items(x.view(), self.outputs)),
        }
    }

    pub(crate) fn input_rows(&self) -> usize {
        self.inputs.rows()
    }

    pub(crate) fn output_rows(&self) -> usize {
        self.outputs.rows()
    }

    /// `W (x ⊙ factor) …` of the blocks `x`, the first of which is block `first` of the modules that `modulation` belongs
    /// to.
    pub(crate) fn apply(
        &self,
        tools: &Tools,
        modulation: &Modulation,
        first: usize,
        x: &[Row],
        room: &mut [Row],
        target: Target<'_>,
    ) {
        let depth = self.inputs.rows();
        let count = x.len() / depth;
        let factor = modulation.input.as_ref().map(|m| m.range(first, count));
        let operand = self.operand(tools, x, factor, room);
        tools.arch.dispatch(Gemm {
            product: operand.times(&self.packed, depth),
            outputs: self.outputs.rows(),
            output_scale: modulation.output.as_ref().map(|m| m.range(first, count)),
            bias: self.bias.as_deref(),
            gamma: target.gamma,
            add: target.add,
            y: target.y,
            stride: target.stride,
        });
    }

    /// Blocks of inputs as the weights take them.
    pub(crate) fn operand<'a>(
        &self,
        tools: &Tools,
        x: &'a [Row],
        factor: Option<&[Row]>,
        room: &'a mut [Row],
    ) -> Operand<'a> {
        Operand::new(tools, &self.packed, (x, self.inputs.rows()), factor, room)
    }

    /// The same as part of a feed-forward block.
    pub(crate) fn branch<'a>(
        &'a self,
        operand: Operand<'a>,
        modulation: &'a Modulation,
        (first, count): (usize, usize),
    ) -> Branch<'a> {
        Branch {
            product: operand.times(&self.packed, self.inputs.rows()),
            output_scale: modulation.output.as_ref().map(|m| m.range(first, count)),
            bias: self.bias.as_deref(),
        }
    }
}

impl Kind {
    /// Factors on the inputs of each module, `[modules, in]`, and on its outputs, `[modules, out]`.
    pub(super) fn factors(
        &self,
        codes: ArrayView2<'_, f32>,
    ) -> (Option<Array2<f32>>, Option<Array2<f32>>) {
        match self {
            Kind::Plain => (None, None),
            Kind::Modulated { code, gain, config } => {
                let mut scale = product(codes, code.t());
                for mut row in scale.axis_iter_mut(Axis(0)) {
                    normalise(&mut row, config.scale_normalization);
                }
                let one = if config.add_one_to_scale { 1.0 } else { 0.0 };
                scale.mapv_inplace(|x| x * gain + one);
                (Some(scale), None)
            }
            Kind::Demodulated {
                code,
                bias,
                squares,
            } => {
                let mut style = product(codes, code.t());
                for mut row in style.axis_iter_mut(Axis(0)) {
                    row.iter_mut().zip(bias).for_each(|(x, b)| *x += b + 1.0);
                }
                let sums = product(style.mapv(|s| s * s).view(), squares.t());
                let output = sums.mapv(|x| 1.0 / (x + DEMODULATION_EPSILON).sqrt());
                (Some(style), Some(output))
            }
        }
    }
}

fn normalise(row: &mut ndarray::ArrayViewMut1<'_, f32>, normalization: ScaleNormalization) {
    match normalization {
        ScaleNormalization::Ln => {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
            let scale = 1.0 / (variance + LN_EPSILON).sqrt();
            row.mapv_inplace(|x| (x - mean) * scale);
        }
        ScaleNormalization::L2 => {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.mapv_inplace(|x| x / length.max(L2_EPSILON));
        }
        ScaleNormalization::None => {}
        ScaleNormalization::Sigmoid => row.mapv_inplace(|x| 1.0 / (1.0 + (-x).exp())),
        ScaleNormalization::Tanh => row.mapv_inplace(f32::tanh),
    }
}
