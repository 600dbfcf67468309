//! From the outputs of the read-out to logits.
//!
//! Confidence pooling weighs the states of the read-out modules by a softmax of their confidences and projects the sum;
//! the Gumbel noise that may be set belongs to training. Sources: reference `tokenizers.py`, `OutputLatentPooling` and
//! `FirstSlotAsLogits`.

use crate::backend::Backend;
use crate::blocks::{Layout, resize, to_items};
use crate::error::{EngineError, Result};
use crate::layer::{Modulation, Projection, Target};
use crate::simd::{Row, WIDTH};
use crate::weights::WeightScope;
use nac_core::model::PoolingSoftmax;
use nac_core::model::spec::{HeadSpec, LinearSpec};
use ndarray::ArrayViewMut2;

fn logits(
    scope: &WeightScope<'_, '_>,
    spec: &LinearSpec,
    backend: &Backend,
) -> Result<Box<Projection>> {
    let layouts = (Layout::plain(spec.input), Layout::plain(spec.output));
    let precision = backend.precision.without_int8();
    Ok(Box::new(Projection::linear(
        scope, spec, layouts, precision,
    )?))
}

/// A head.
#[derive(Debug, Clone)]
pub(crate) enum Head {
    /// Confidence-weighted sum of all modules, then a linear layer.
    Pooling {
        score: Vec<f32>,
        bias: f32,
        temperature: f32,
        /// The most confident module alone.
        hard: bool,
        logits: Box<Projection>,
    },
    /// The first module's outputs, through a linear layer if there is one.
    First { logits: Option<Box<Projection>> },
}

impl Head {
    /// The head of `spec`.
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &HeadSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let HeadSpec::ConfidencePooling(spec) = spec else {
            return Ok(Self::First { logits: None });
        };
        if spec.noise_in_evaluation && spec.softmax != PoolingSoftmax::Vanilla {
            let reason = "noise for each input needs a source of noise";
            let setting = "head.noise_in_evaluation";
            return Err(EngineError::unsupported(setting, true, reason));
        }
        let scorer = scope.sub(&spec.confidence_scorer.path);
        let state = spec.confidence_scorer.input;
        Ok(Self::Pooling {
            score: scorer.tensor("weight", &[1, state])?.to_vec(),
            bias: scorer.tensor("bias", &[1])?[0],
            temperature: spec.temperature as f32,
            hard: spec.softmax == PoolingSoftmax::GumbelHard,
            logits: logits(scope, &spec.to_logits, backend)?,
        })
    }

    /// A linear layer, if any, on the only read-out module.
    pub(crate) fn linear(
        scope: &WeightScope<'_, '_>,
        spec: Option<&LinearSpec>,
        backend: &Backend,
    ) -> Result<Self> {
        let logits = spec.map(|spec| logits(scope, spec, backend));
        Ok(Self::First {
            logits: logits.transpose()?,
        })
    }

    /// Writes what is to be projected of an example, given in blocks of `rows` rows, into lane `example % 32` of block
    /// `example / 32` of `pooled`.
    pub(crate) fn pool(
        &self,
        states: &[Row],
        (modules, rows): (usize, usize),
        pooled: &mut [Row],
        example: usize,
        confidence: &mut Vec<f32>,
    ) {
        let block = &mut pooled[example / WIDTH * rows..][..rows];
        let lane = example % WIDTH;
        let Self::Pooling {
            score,
            bias,
            temperature,
            hard,
            ..
        } = self
        else {
            for (sum, row) in block.iter_mut().zip(states) {
                sum.0[lane] = row.0[0];
            }
            return;
        };
        confidence.clear();
        for states in states.chunks_exact(rows) {
            let mut sums = [*bias; WIDTH];
            for (row, weight) in states.iter().zip(score) {
                for (sum, x) in sums.iter_mut().zip(&row.0) {
                    *sum += weight * x;
                }
            }
            confidence.extend(sums.map(|sum| sum / temperature));
        }
        confidence.truncate(modules);
        let highest = confidence.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if *hard {
            let is_more = |c: f32, best: f32| c > best || c.is_nan() && !best.is_nan();
            let better = |best, i| {
                if is_more(confidence[i], confidence[best]) {
                    i
                } else {
                    best
                }
            };
            let winner = (1..modules).fold(0, better);
            // A confidence that is no number stays one, and so do the logits.
            let weight = if confidence[winner].is_nan() {
                f32::NAN
            } else {
                1.0
            };
            confidence.fill(0.0);
            confidence[winner] = weight;
        } else {
            let mut sum = 0.0;
            for c in confidence.iter_mut() {
                *c = (*c - highest).exp();
                sum += *c;
            }
            confidence.iter_mut().for_each(|c| *c /= sum);
        }
        for (feature, sum) in block.iter_mut().enumerate() {
            let mut total = 0.0;
            for (states, weights) in states.chunks_exact(rows).zip(confidence.chunks(WIDTH)) {
                let row = &states[feature].0;
                total += row.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>();
            }
            sum.0[lane] = total;
        }
    }

    /// Logits of all examples, `[examples, classes]`, from `pooled`.
    pub(crate) fn logits(
        &self,
        backend: &Backend,
        (pooled, rows): (&[Row], usize),
        buffer: &mut [Row],
        logit_rows: &mut Vec<Row>,
        logits: ArrayViewMut2<'_, f32>,
    ) {
        let projection = match self {
            Self::Pooling { logits, .. } => Some(logits),
            Self::First { logits } => logits.as_ref(),
        };
        let Some(projection) = projection else {
            to_items(pooled, rows, logits);
            return;
        };
        let output = projection.output_rows();
        resize(logit_rows, pooled.len() / rows * output);
        let blocks = pooled
            .chunks_exact(rows)
            .zip(logit_rows.chunks_exact_mut(output));
        for (x, y) in blocks {
            let none = Modulation::default();
            projection.apply(backend, &none, 0, x, buffer, Target::overwrite(y, output));
        }
        to_items(logit_rows, output, logits);
    }

    /// Rows of the buffer that [`logits`](Self::logits) needs.
    pub(crate) fn operand_rows(&self) -> usize {
        match self {
            Self::Pooling { logits, .. } => logits.input_rows(),
            Self::First { logits } => logits.as_ref().map_or(0, |p| p.input_rows()),
        }
    }
}
