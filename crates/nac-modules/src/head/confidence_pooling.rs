//! Confidence-weighted pooling of the read-out modules.
//!
//! Each module scores its own confidence; a softmax over modules weighs their *states*, and the linear
//! head comes after the sum. Source: reference `tokenizers.py`, class `OutputLatentPooling`.
//!
//! With a Gumbel softmax the confidences get noise `−log e` of exponential draws `e` before they are divided
//! by the temperature. The reference draws it in evaluation too; here that needs `noise_in_evaluation`.

use nac_core::model::spec::ConfidencePoolingSpec;
use tch::{Kind, Tensor};

use super::PoolingSoftmax;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::Linear;
use crate::params::Scope;
use crate::shape;

/// Softmax over confidences, weighted sum of states, linear head.
///
/// Parameters under `confidence_scorer` and `to_logits`.
#[derive(Debug)]
pub struct ConfidencePooling {
    confidence_scorer: Linear,
    to_logits: Linear,
    state_dim: i64,
    softmax: PoolingSoftmax,
    temperature: f64,
    noise_in_evaluation: bool,
    name: String,
}

impl ConfidencePooling {
    /// The head of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ConfidencePoolingSpec) -> Result<Self> {
        Ok(Self {
            confidence_scorer: Linear::from_spec(scope, &spec.confidence_scorer)?,
            to_logits: Linear::from_spec(scope, &spec.to_logits)?,
            state_dim: shape::positive("state_dim", spec.confidence_scorer.input)?,
            softmax: spec.softmax,
            temperature: spec.temperature,
            noise_in_evaluation: spec.noise_in_evaluation,
            name: scope.sub(&spec.path).path().to_owned(),
        })
    }

    /// Logits of the pooled state. Records `head.confidence`, `[batch, modules]`.
    ///
    /// # Shapes
    /// - states: `[batch, modules, state]`
    /// - output: `[batch, classes]`
    ///
    /// # Errors
    /// The shape does not fit, or the source of noise fails.
    pub fn forward(&self, states: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let expected = [
            ("batch", None),
            ("modules", None),
            ("state", Some(self.state_dim)),
        ];
        shape::check("ConfidencePooling", "states", states, &expected)?;
        let scores = self.confidence_scorer.forward(states)?.squeeze_dim(-1);
        let confidence = self.weights(&scores, ctx)?;
        ctx.record("head.confidence", &confidence);
        let weighted = confidence.unsqueeze(-1) * states;
        let pooled = weighted.sum_dim_intlist([1].as_slice(), false, None::<Kind>);
        self.to_logits.forward(&pooled)
    }

    /// Weights of the modules from their scores, both `[batch, modules]`.
    fn weights(&self, scores: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let softmax = self.softmax;
        let noisy =
            softmax != PoolingSoftmax::Vanilla && (ctx.is_training() || self.noise_in_evaluation);
        let scores = if noisy {
            let name = format!("{}.confidence", self.name);
            let (kind, device) = (scores.kind(), scores.device());
            let draws = ctx.exponential_per_example(&name, &scores.size(), kind, device)?;
            scores - draws.log()
        } else {
            scores.shallow_clone()
        };
        let soft = (scores / self.temperature).softmax(1, None::<Kind>);
        if softmax != PoolingSoftmax::GumbelHard {
            return Ok(soft);
        }
        let winner = soft.argmax(1, true);
        let hard = soft.zeros_like().scatter_value(1, &winner, 1.0);
        Ok(hard - soft.detach() + soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::StreamNoise;
    use crate::head::HeadConfig;
    use crate::params::ParamStore;
    use nac_core::model::spec::HeadSpec;
    use nac_core::rng::Streams;
    use tch::Device;

    fn confidence(softmax: PoolingSoftmax, noise_in_evaluation: bool, seed: u64) -> Tensor {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 2);
        let config = HeadConfig {
            softmax,
            noise_in_evaluation,
            ..Default::default()
        };
        let HeadSpec::ConfidencePooling(spec) = config.resolve("head", 4, 3).unwrap() else {
            panic!("no pooling");
        };
        let head = ConfidencePooling::new(&mut store.root(), &spec).unwrap();
        let states = Tensor::arange(40, (Kind::Float, Device::Cpu)).view([2, 5, 4]) / 40.0;
        let mut noise = StreamNoise::new(Streams::new(seed));
        let mut ctx = ForwardContext::evaluation()
            .with_noise(&mut noise)
            .with_intermediates();
        let _ = head.forward(&states, &mut ctx).unwrap();
        ctx.take_intermediates().remove("head.confidence").unwrap()
    }

    #[test]
    fn evaluation_is_without_noise_unless_asked() {
        let gumbel = PoolingSoftmax::Gumbel;
        assert_eq!(confidence(gumbel, false, 1), confidence(gumbel, false, 2));
        assert_ne!(confidence(gumbel, true, 1), confidence(gumbel, true, 2));
        let vanilla = confidence(PoolingSoftmax::Vanilla, true, 1);
        assert_eq!(confidence(gumbel, false, 1), vanilla);
    }

    #[test]
    fn hard_weights_choose_one_module() {
        let hard = confidence(PoolingSoftmax::GumbelHard, true, 1);
        let winners = hard
            .gt(0.5)
            .sum_dim_intlist([1].as_slice(), false, Kind::Float);
        assert_eq!(winners, Tensor::from_slice(&[1.0_f32, 1.0]));
        assert!((hard.sum(Kind::Float).double_value(&[]) - 2.0).abs() < 1e-5);
    }
}
