//! One optimizer step: forward, loss terms, backward, clipping, AdamW.

use nac_core::rng::Streams;
use nac_data::Batch;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::tape::Tape;
use tch::{Kind, Tensor};

use super::Trainer;
use super::evaluate::count_correct;
use crate::batch::tensors;
use crate::error::{Result, TrainError};
use crate::loss::LossContext;
use crate::optim;

/// What a step measured.
#[derive(Debug)]
pub(super) struct StepValues {
    pub(super) loss: f64,
    pub(super) terms: Vec<(String, f64)>,
    pub(super) correct: f64,
    pub(super) gradient_norm: f64,
    pub(super) learning_rate: f64,
}

impl Trainer {
    /// Trains on one batch. Weights change only if every number is finite.
    pub(super) fn step(&mut self, batch: &Batch) -> Result<StepValues> {
        let step = self.state.step;
        let (inputs, labels) = tensors(batch, self.model.params().device())?;
        let mut noise =
            StreamNoise::new(Streams::new(self.options.seed).child(&format!("noise/step/{step}")));
        let mut tape = Tape::new();
        let mut ctx = ForwardContext::training(&mut noise);
        // On CUDA libtorch's own attention keeps little for its backward pass; on the CPU it keeps every score.
        if !self.model.params().device().is_cuda() {
            ctx = ctx.with_tape(&mut tape);
        }
        let output = self.model.forward(&inputs, &mut ctx)?;
        drop(ctx);
        let logits = &output.logits;

        let context = LossContext {
            output: &output,
            labels: &labels,
            model: self.model.as_ref(),
            step,
        };
        let mut names = Vec::with_capacity(self.losses.len());
        let mut numbers = vec![count_correct(logits, &labels)?];
        let mut sum: Option<Tensor> = None;
        let progress = step as f64 / self.options.steps.max(1) as f64;
        for term in &mut self.losses {
            term.set_progress(progress);
            let value = term.compute(&context)?;
            if value.dim() != 0 {
                let reason = format!("expected one number, found shape {:?}", value.size());
                return Err(TrainError::Loss {
                    name: term.name().to_owned(),
                    reason,
                });
            }
            numbers.push(
                value
                    .f_detach()?
                    .f_to_device(logits.device())?
                    .f_to_kind(Kind::Double)?,
            );
            names.push((term.name().to_owned(), term.weight()));
            let weighted = value.f_mul_scalar(term.weight())?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
        }
        let sum =
            sum.ok_or_else(|| TrainError::State("a trainer needs at least one loss term".into()))?;
        // All numbers cross from the device at once.
        let numbers = Vec::<f64>::try_from(Tensor::f_stack(&numbers, 0)?)?;
        let terms: Vec<(String, f64)> = names
            .iter()
            .map(|(name, _)| name.clone())
            .zip(numbers[1..].to_vec())
            .collect();
        for (name, value) in &terms {
            self.require_finite(&format!("loss term \"{name}\""), *value)?;
        }
        let loss = names
            .iter()
            .zip(&terms)
            .map(|((_, weight), (_, value))| weight * value)
            .sum();

        let mut gradients = tape.backward(&sum, &self.optimizer.parameters())?;
        let gradient_norm = optim::global_norm(&gradients)?;
        self.require_finite("the gradient norm", gradient_norm)?;
        if let Some(limit) = self.options.optimizer.clip_norm {
            optim::clip(&mut gradients, gradient_norm, limit)?;
        }
        let learning_rate = self.schedule.at(step);
        self.optimizer.step(&gradients, learning_rate)?;
        self.state.step += 1;
        Ok(StepValues {
            loss,
            terms,
            correct: numbers[0],
            gradient_norm,
            learning_rate,
        })
    }

    fn require_finite(&self, what: &str, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let last = self.checkpoints.place();
        let last = last.map_or("There is no checkpoint yet".into(), |place| {
            format!("The last checkpoint is {place}")
        });
        let advice = format!(
            "{last}. A lower learning rate, a longer warm-up or optimizer.clip_norm may help"
        );
        Err(TrainError::NotFinite {
            step: self.state.step + 1,
            what: what.to_owned(),
            value,
            advice,
        })
    }
}
