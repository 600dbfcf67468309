//! Projections: modulated by the module's code (ModFC), plain (FC), and weight-demodulated (WModFC).
//!
//! - ModFC: `y = W (x ⊙ (1 + α · n(W_c c))) + b`, with `n` a layer norm or another normalisation;
//! - WModFC: `y = W (x ⊙ s) / sqrt(W² s² + ε) + b` with `s = 1 + W_c c + b_c`;
//! - FC: `y = W x + b`.
//!
//! The factors depend on codes alone: they are computed once for a model ([`Modulation`]). Sources: paper section on
//! ModFC; reference `utils.py`, classes `ModFC`, `WModFC` and `FC`.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix2, s};

use super::packed::Packed;
use super::precompute::product;
use crate::backend::{Backend, Precision};
use crate::blocks::{Blocks, Layout};
use crate::error::Result;
use crate::simd::Row;
use crate::simd::activation::Activate;
use crate::simd::gemm::{Affine, Gemm};
use crate::weights::WeightScope;
use nac_core::model::spec::{LinearSpec, ProjectionSpec};
use nac_core::model::{ModFcConfig, ProjectionKind, ScaleNormalization};

const DEMODULATION_EPSILON: f32 = 1e-6;
const LN_EPSILON: f32 = 1e-5;
const L2_EPSILON: f32 = 1e-12;

/// A projection of features; what depends on codes is in a [`Modulation`].
///
/// Clones share their weights.
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
enum Kind {
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
    pub(crate) weight: CowArray<'w, f32, Ix2>,
    pub(crate) bias: Option<Cow<'w, [f32]>>,
}

impl Raw<'_> {
    /// The part with the outputs `rows`.
    pub(crate) fn outputs(&self, rows: Range<usize>) -> Raw<'_> {
        Raw {
            weight: self.weight.slice(s![rows.clone(), ..]).into(),
            bias: self.bias.as_ref().map(|bias| Cow::from(&bias[rows])),
        }
    }
}

impl Projection {
    /// The projection of `spec`, from and to features in the given layouts.
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ProjectionSpec,
        layouts: (Layout, Layout),
        precision: Precision,
    ) -> Result<Self> {
        scope.kept((spec, layouts, precision), || {
            let raw = Self::raw(scope, spec)?;
            let kind = Self::kind(&scope.sub(&spec.path), &raw, spec)?;
            Ok(Self::assemble(&raw, layouts, kind, precision))
        })
    }

    /// The plain layer of `spec`.
    pub(crate) fn linear(
        scope: &WeightScope<'_, '_>,
        spec: &LinearSpec,
        layouts: (Layout, Layout),
        precision: Precision,
    ) -> Result<Self> {
        Self::plain(&scope.sub(&spec.path), layouts, spec.bias, precision)
    }

    /// A plain layer, tensors `weight` and `bias`.
    pub(crate) fn plain(
        scope: &WeightScope<'_, '_>,
        (inputs, outputs): (Layout, Layout),
        bias: bool,
        precision: Precision,
    ) -> Result<Self> {
        let (i, o) = (inputs.features(), outputs.features());
        let weight = scope.matrix("weight", &[o, i])?;
        let bias = bias.then(|| scope.tensor("bias", &[o])).transpose()?;
        let raw = Raw { weight, bias };
        Ok(Self::assemble(
            &raw,
            (inputs, outputs),
            Kind::Plain,
            precision,
        ))
    }

    /// A plain layer of these tensors.
    pub(crate) fn of(raw: &Raw<'_>, layouts: (Layout, Layout), precision: Precision) -> Self {
        Self::assemble(raw, layouts, Kind::Plain, precision)
    }

    fn assemble(
        raw: &Raw<'_>,
        (inputs, outputs): (Layout, Layout),
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
            packed: Arc::new(Packed::new(raw.weight.view(), (inputs, outputs), precision)),
            bias,
            inputs,
            outputs,
            kind: Arc::new(kind),
        }
    }

    /// Weight and bias of `spec` by the names that their kind has.
    pub(crate) fn raw<'w>(scope: &WeightScope<'_, 'w>, spec: &ProjectionSpec) -> Result<Raw<'w>> {
        let (weight_name, bias_name) = match spec.mod_fc.kind {
            ProjectionKind::ModFc => ("native_weight", "native_bias"),
            ProjectionKind::Fc => ("lin.weight", "lin.bias"),
            ProjectionKind::WModFc => ("weight", "bias"),
        };
        let (scope, outputs) = (scope.sub(&spec.path), spec.output);
        let bias = spec.bias.then(|| scope.tensor(bias_name, &[outputs]));
        Ok(Raw {
            weight: scope.matrix(weight_name, &[outputs, spec.input])?,
            bias: bias.transpose()?,
        })
    }

    /// What the projection of these tensors does with codes.
    fn kind(scope: &WeightScope<'_, '_>, raw: &Raw<'_>, spec: &ProjectionSpec) -> Result<Kind> {
        let (inputs, code_dim, config) = (spec.input, spec.code, &spec.mod_fc);
        Ok(match config.kind {
            ProjectionKind::Fc => Kind::Plain,
            ProjectionKind::ModFc => {
                let code = scope.sub("scale").matrix("weight", &[inputs, code_dim])?;
                Kind::Modulated {
                    code: code.into_owned(),
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
                let code = scope.matrix("weight", &[inputs, code_dim])?;
                Kind::Demodulated {
                    code: code.into_owned(),
                    bias: scope.tensor("bias", &[inputs])?.to_vec(),
                    squares: raw.weight.mapv(|w| w * w),
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

    /// Writes the projection of the blocks `x` to `target`; the first is block `first` of the modules that `modulation`
    /// belongs to. `buffer` is scratch of as many rows as `x`.
    pub(crate) fn apply(
        &self,
        backend: &Backend,
        modulation: &Modulation,
        first: usize,
        x: &[Row],
        buffer: &mut [Row],
        target: Target<'_>,
    ) {
        let term = self.term(backend, modulation, first, x, buffer);
        backend.arch.dispatch(Gemm {
            term,
            gamma: target.gamma,
            add: target.add,
            y: target.y,
            stride: target.stride,
        });
    }

    /// The projection, the activation, and the product with the gate if the projection gives both: `y` of the blocks
    /// `x`.
    pub(crate) fn activate(
        &self,
        backend: &Backend,
        modulation: &Modulation,
        first: usize,
        x: &[Row],
        buffer: &mut [Row],
        (y, gated): (&mut [Row], bool),
    ) {
        let value = self.term(backend, modulation, first, x, buffer);
        backend.arch.dispatch(Activate { value, gated, y });
    }

    /// `W (x ⊙ factor)`, its output scale and bias.
    fn term<'a>(
        &'a self,
        backend: &Backend,
        modulation: &'a Modulation,
        first: usize,
        x: &'a [Row],
        buffer: &'a mut [Row],
    ) -> Affine<'a> {
        let depth = self.inputs.rows();
        let count = x.len() / depth;
        let factor = modulation.input.as_ref().map(|m| m.range(first, count));
        Affine {
            product: self.packed.product(backend, (x, depth), factor, buffer),
            outputs: self.outputs.rows(),
            output_scale: modulation.output.as_ref().map(|m| m.range(first, count)),
            bias: self.bias.as_deref(),
        }
    }

    /// The projection of items, `[items, in]`, with these codes, `[items, code]`.
    pub(crate) fn apply_to_items(
        &self,
        raw: &Raw<'_>,
        x: ArrayView2<'_, f32>,
        codes: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        let (input, output) = self.factors(codes);
        let scaled = match input {
            Some(factor) => &x * &factor,
            None => x.to_owned(),
        };
        let mut y = product(scaled.view(), raw.weight.t());
        if let Some(factor) = output {
            y *= &factor;
        }
        if let Some(bias) = &raw.bias {
            y += &ArrayView1::from(&bias[..]);
        }
        y
    }
}

impl Kind {
    /// Factors on the inputs of each module, `[modules, in]`, and on its outputs, `[modules, out]`.
    fn factors(&self, codes: ArrayView2<'_, f32>) -> (Option<Array2<f32>>, Option<Array2<f32>>) {
        match self {
            Kind::Plain => (None, None),
            Kind::Modulated { code, gain, config } => {
                let mut scale = product(codes, code.t());
                for mut row in scale.axis_iter_mut(Axis(0)) {
                    normalize(&mut row, config.scale_normalization);
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

fn normalize(row: &mut ndarray::ArrayViewMut1<'_, f32>, normalization: ScaleNormalization) {
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
