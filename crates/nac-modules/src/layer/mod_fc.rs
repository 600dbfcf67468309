//! Modulated fully-connected layer (ModFC).
//!
//! `y = W (x ⊙ (1 + α · LN(W_c c))) + b`: all modules share `W`, and the code `c` of a module decides
//! how strongly it weighs each input feature. `α` is one learned scalar per layer, 0.1 at the start;
//! with `α = 0` the layer is a plain linear layer. The layer norm has no gain or bias and epsilon 1e-5.
//! Source: paper section on ModFC; reference `utils.py`, class `ModFC`. [`super::Projection`] chooses
//! between this layer, a plain one and the weight-demodulated one.

use nac_core::model::spec::ProjectionSpec;
use tch::{Kind, Tensor};

use super::ScaleNormalization;
use super::norm::normalise_last;
use crate::cached::Cached;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::{Modulated, Projected, ScaleSource};
use crate::params::{Init, Scope};
use crate::shape;

/// Smallest length that L2 normalisation divides by, as PyTorch's `normalize`.
const L2_EPSILON: f64 = 1e-12;

/// A linear layer whose input features are scaled by each module's code.
///
/// Parameters: `native_weight` `[out, in]`, `native_bias` `[out]`, `scale.weight` `[in, code]`,
/// and `scale_gain` `[]` if it is trained.
#[derive(Debug)]
pub struct ModFc {
    weight: Tensor,
    bias: Option<Tensor>,
    code_projection: Tensor,
    gain: Tensor,
    normalization: ScaleNormalization,
    add_one: bool,
    dropout: f64,
    name: String,
    /// The scale of the codes that were asked for last, in evaluation.
    scale: Cached,
}

impl ModFc {
    /// The layer of `spec`, whatever its kind.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ProjectionSpec) -> Result<Self> {
        let config = &spec.mod_fc;
        let mut scope = scope.sub(&spec.path);
        let inputs = shape::positive("input", spec.input)?;
        let outputs = shape::positive("output", spec.output)?;
        let codes = shape::positive("code", spec.code)?;
        let start = Init::KaimingUniform {
            gain: config.weight_init_gain,
        };
        let weight = scope.parameter("native_weight", &[outputs, inputs], start)?;
        let bias = spec
            .bias
            .then(|| scope.parameter("native_bias", &[outputs], Init::Zeros))
            .transpose()?;
        let gain = if config.learnable_scale_gain {
            scope.parameter("scale_gain", &[], Init::Constant(config.scale_gain))?
        } else {
            let options = (scope.kind(), scope.device());
            Tensor::f_full([0_i64; 0].as_slice(), config.scale_gain, options)?
        };
        let start = Init::KaimingUniform { gain: 1.0 };
        let code_projection = scope
            .sub("scale")
            .parameter("weight", &[inputs, codes], start)?;
        Ok(Self {
            weight,
            bias,
            code_projection,
            gain,
            normalization: config.scale_normalization,
            add_one: config.add_one_to_scale,
            dropout: config.scale_dropout,
            name: format!("{}.scale_dropout", scope.path()),
            scale: Cached::default(),
        })
    }

    /// The factor on each input feature of each module, `1 + α · LN(W_c c)`.
    ///
    /// Does not depend on the input: with shared codes it is computed once for a whole batch, and in evaluation kept
    /// until codes or weights change. In training
    /// `scale_dropout` leaves out entries of `α · LN(W_c c)` and scales the others up to keep the mean.
    ///
    /// # Shapes
    /// - codes: `[..., modules, code]`
    /// - output: `[..., modules, in]`
    ///
    /// # Errors
    /// The source of noise fails.
    pub fn scale(&self, codes: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        if ctx.is_training() {
            let raw = codes.f_linear(&self.code_projection, None::<&Tensor>)?;
            return self.scale_rule(&raw.size(), ctx)?.apply(&raw, &self.gain);
        }
        let rule = self.scale_rule(&[], ctx)?;
        let sources = [codes, &self.code_projection, &self.gain];
        self.scale.get(&sources, || {
            let raw = codes.f_linear(&self.code_projection, None::<&Tensor>)?;
            rule.apply(&raw, &self.gain)
        })
    }

    /// What a projected code of shape `size` becomes in this pass.
    fn scale_rule(&self, size: &[i64], ctx: &mut ForwardContext<'_>) -> Result<ScaleRule> {
        if ctx.is_training() {
            self.scale.clear();
        }
        let kept = if self.dropout > 0.0 && ctx.is_training() {
            let keep = 1.0 - self.dropout;
            let (kind, device) = (self.weight.kind(), self.weight.device());
            let uniform = match size.len() {
                3 => ctx.uniform_per_example(&self.name, size, kind, device)?,
                _ => ctx.uniform(&self.name, size, kind, device)?,
            };
            Some((uniform.f_add_scalar(keep)?.f_floor()?, keep))
        } else {
            None
        };
        Ok(ScaleRule {
            normalization: self.normalization,
            kept,
            add_one: self.add_one,
        })
    }

    /// The parts of [`scale`](Self::scale), for who computes it and its gradient themselves.
    pub(super) fn modulation(
        &self,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Modulation> {
        let mut size = codes.size();
        if let Some(last) = size.last_mut() {
            *last = self.code_projection.size()[0];
        }
        Ok(Modulation {
            codes: codes.shallow_clone(),
            code_projection: self.code_projection.shallow_clone(),
            gain: self.gain.shallow_clone(),
            rule: self.scale_rule(&size, ctx)?,
        })
    }

    /// The tensors of the layer for a fused block, which computes the scale itself if nothing but a layer norm is
    /// between projected codes and gain.
    pub(super) fn projected(
        &self,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Projected> {
        let scale = if self.normalization == ScaleNormalization::Ln && self.dropout == 0.0 {
            ScaleSource::Codes(Modulated {
                codes: codes.f_contiguous()?,
                code_projection: self.code_projection.shallow_clone(),
                gain: self.gain.shallow_clone(),
                add_one: self.add_one,
            })
        } else {
            let scale = self.scale(codes, ctx)?.f_contiguous()?;
            ScaleSource::Given(ctx.detached_leaf(&scale)?)
        };
        Ok(Projected {
            weight: self.weight.shallow_clone(),
            bias: self.bias.as_ref().map(Tensor::shallow_clone),
            scale,
        })
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[..., modules, in]`
    /// - codes: `[modules, code]` (shared) or `[..., modules, code]`; leading dimensions broadcast
    /// - output: `[..., modules, out]`
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn forward(
        &self,
        x: &Tensor,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        self.check(x, codes)?;
        Ok((x * self.scale(codes, ctx)?).linear(&self.weight, self.bias.as_ref()))
    }

    /// As [`forward`](Self::forward), of features that nobody else reads, where nothing takes a gradient: they are
    /// scaled in place.
    pub(super) fn forward_in_place(
        &self,
        mut x: Tensor,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        self.check(&x, codes)?;
        let scale = self.scale(codes, ctx)?;
        let widens = super::operands::check_within("ModFC", &x, codes).is_err();
        if widens || scale.kind() != x.kind() {
            return Ok(x
                .f_mul(&scale)?
                .f_linear(&self.weight, self.bias.as_ref())?);
        }
        let _ = x.f_mul_(&scale)?;
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }

    /// Refuses operands of [`forward`](Self::forward) that do not fit.
    pub(super) fn check(&self, x: &Tensor, codes: &Tensor) -> Result<()> {
        let code_dim = self.code_projection.size()[1];
        super::operands::check("ModFC", x, codes, self.weight.size()[1], Some(code_dim))
    }

    /// The shared weight `W`, `[out, in]`.
    pub(crate) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `b`, `[out]`.
    pub(crate) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

/// From the projected code `W_c c` to the scale, with what a pass has drawn for it.
#[derive(Debug)]
pub(super) struct ScaleRule {
    normalization: ScaleNormalization,
    /// One where dropout keeps an entry, zero elsewhere, and the probability of keeping.
    kept: Option<(Tensor, f64)>,
    add_one: bool,
}

impl ScaleRule {
    /// The scale, differentiable in both operands.
    pub(super) fn apply(&self, raw: &Tensor, gain: &Tensor) -> Result<Tensor> {
        let mut scale = normalise(raw, self.normalization).f_mul(gain)?;
        if let Some((mask, keep)) = &self.kept {
            scale = scale.f_mul(mask)?.f_div_scalar(*keep)?;
        }
        Ok(if self.add_one {
            scale.f_add_scalar(1.0)?
        } else {
            scale
        })
    }
}

/// A scale that is not computed yet: its operands, attached to the graph, and its rule.
#[derive(Debug)]
pub(super) struct Modulation {
    /// `[modules, code]` or `[batch, modules, code]`.
    pub(super) codes: Tensor,
    /// `[in, code]`.
    pub(super) code_projection: Tensor,
    /// `[]`.
    pub(super) gain: Tensor,
    pub(super) rule: ScaleRule,
}

/// What the projected code goes through before the gain.
fn normalise(raw: &Tensor, normalization: ScaleNormalization) -> Tensor {
    match normalization {
        ScaleNormalization::Ln => normalise_last(raw),
        ScaleNormalization::L2 => {
            let squares = raw
                .square()
                .sum_dim_intlist([-1].as_slice(), true, None::<Kind>);
            raw / squares.clamp_min(L2_EPSILON * L2_EPSILON).sqrt()
        }
        ScaleNormalization::None => raw.shallow_clone(),
        ScaleNormalization::Sigmoid => raw.sigmoid(),
        ScaleNormalization::Tanh => raw.tanh(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RecordedNoise;
    use crate::layer::{ModFcConfig, Projection, ProjectionKind};
    use crate::params::ParamStore;
    use nac_core::model::spec::Surroundings;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn layer(config: &ModFcConfig) -> ModFc {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 5);
        let spec = ProjectionSpec::new(&Surroundings::new(6, 3, config), "", (6, 4), true);
        ModFc::new(&mut store.root(), &spec.unwrap()).unwrap()
    }

    fn run(layer: &ModFc, x: &Tensor, codes: &Tensor) -> Result<Tensor> {
        layer.forward(x, codes, &mut ForwardContext::evaluation())
    }

    #[test]
    fn zero_gain_is_a_plain_linear_layer() {
        for scale_normalization in ScaleNormalization::ALL {
            let layer = layer(&ModFcConfig {
                scale_gain: 0.0,
                scale_normalization,
                ..Default::default()
            });
            let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([5, 3], CPU));
            let plain = x.linear(&layer.weight, layer.bias.as_ref());
            let modulated = run(&layer, &x, &codes).unwrap();
            assert!(modulated.allclose(&plain, 1e-6, 1e-6, false));
        }
    }

    #[test]
    fn codes_per_example_equal_shared_codes_when_repeated() {
        let layer = layer(&ModFcConfig::default());
        let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([5, 3], CPU));
        let repeated = codes.unsqueeze(0).repeat([2, 1, 1]);
        let (a, b) = (
            run(&layer, &x, &codes).unwrap(),
            run(&layer, &x, &repeated).unwrap(),
        );
        assert!(a.allclose(&b, 1e-6, 1e-6, false));
    }

    #[test]
    fn leading_dimensions_are_a_batch_and_codes_broadcast() {
        for config in [ProjectionKind::ModFc, ProjectionKind::WModFc].map(|kind| ModFcConfig {
            kind,
            ..Default::default()
        }) {
            let mut store = ParamStore::new(Device::Cpu, Kind::Float, 5);
            let around = Surroundings::new(6, 3, &config);
            let spec = ProjectionSpec::new(&around, "", (6, 4), true).unwrap();
            let layer = Projection::new(&mut store.root(), &spec).unwrap();
            let run = |x: &Tensor, codes: &Tensor| {
                layer
                    .forward(x, codes, &mut ForwardContext::evaluation())
                    .unwrap()
            };
            let x = Tensor::randn([2, 3, 5, 6], CPU);
            let codes = Tensor::randn([3, 1, 3], CPU);
            let full = codes.expand([2, 3, 5, 3], false);
            let expected =
                run(&x.reshape([6, 5, 6]), &full.reshape([6, 5, 3])).view_as(&run(&x, &codes));
            assert!(run(&x, &codes).allclose(&expected, 1e-6, 1e-6, false));
            // One set of features for all codes.
            let one = run(&x.narrow(0, 0, 1).narrow(1, 0, 1), &full);
            let first = run(
                &x.narrow(0, 0, 1)
                    .narrow(1, 0, 1)
                    .expand([2, 3, 5, 6], false),
                &full,
            );
            assert!(one.allclose(&first, 1e-6, 1e-6, false));
        }
    }

    #[test]
    fn dropout_removes_modulation_in_training_only() {
        let config = ModFcConfig {
            scale_dropout: 0.5,
            ..Default::default()
        };
        let (dropping, plain) = (layer(&config), layer(&ModFcConfig::default()));
        let codes = Tensor::randn([5, 3], CPU);
        let draws = || RecordedNoise::new([Tensor::linspace(0.0, 0.99, 30, CPU).view([5, 6])]);
        let mut noise = draws();
        let dropped = dropping
            .scale(&codes, &mut ForwardContext::training(&mut noise))
            .unwrap();
        let full = plain
            .scale(&codes, &mut ForwardContext::training(&mut noise))
            .unwrap();
        let kept = Tensor::linspace(0.0, 0.99, 30, CPU).view([5, 6]).ge(0.5);
        let expected = (full.shallow_clone() - 1.0) * 2.0 * kept + 1.0;
        assert!(dropped.allclose(&expected, 1e-6, 1e-6, false));
        let mut noise = draws();
        let evaluated = dropping
            .scale(
                &codes,
                &mut ForwardContext::evaluation().with_noise(&mut noise),
            )
            .unwrap();
        assert_eq!((evaluated, noise.remaining()), (full, 1));
    }

    #[test]
    fn wrong_shapes_are_errors_with_names() {
        let layer = layer(&ModFcConfig::default());
        let (x, codes) = (Tensor::randn([2, 5, 7], CPU), Tensor::randn([5, 3], CPU));
        let error = run(&layer, &x, &codes).unwrap_err().to_string();
        assert!(
            error.contains("ModFC: `x`") && error.contains("[..., 6]"),
            "{error}"
        );
        let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([4, 3], CPU));
        let error = run(&layer, &x, &codes).unwrap_err().to_string();
        assert!(error.contains("`codes`"), "{error}");
    }
}
