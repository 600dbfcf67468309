//! The two halves of an optimizer step: the gradients of a batch, and the update of the weights.

use nac_core::rng::Streams;
use nac_data::Batch;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::ModelOutput;
use nac_modules::tape::Tape;
use ndarray::Array2;
use tch::{Kind, Tensor};

use super::gradients::{Gradients, StepReport};
use super::state::Trainer;
use crate::batch::tensors;
use crate::error::{Result, TrainError};
use crate::loss::LossContext;
use crate::metrics::{Metric, Predictions, Sums};
use crate::optim;

/// The loss of a batch, still on the device.
struct Loss {
    /// Sum of weight × term, `[]`.
    sum: Tensor,
    /// Name, weight, and value before the weight, `[]` in double.
    terms: Vec<(String, f64, Tensor)>,
}

impl Trainer {
    /// Gradients of the mean loss over a batch, with everything that is measured in the same pass. The weights stay as
    /// they are.
    ///
    /// Each call before the next [`update`](Self::update) draws other noise.
    ///
    /// # Errors
    /// The batch does not go with the model, or a loss term or metric fails.
    pub fn gradients(&mut self, batch: &Batch) -> Result<Gradients> {
        let (inputs, targets) = tensors(batch, self.model.params().device())?;
        let mut noise = StreamNoise::new(self.noise_streams()).starting_at(self.first_example());
        let mut tape = Tape::new();
        if self.micro_batch > 0 {
            self.passes.keep_gradients();
        }
        let ctx = ForwardContext::training(&mut noise);
        let output = self
            .passes
            .forward(self.model.as_ref(), &inputs, ctx, &mut tape)?;
        let loss = self.loss(&output, &targets)?;
        let tensors = self.backward(&loss.sum, &mut tape)?;

        let (values, outputs) = to_host(&loss, &output.logits)?;
        let named = loss.terms.iter().zip(values);
        let terms: Vec<(String, f64)> = named
            .map(|((name, ..), value)| (name.clone(), value))
            .collect();
        let weighted = loss.terms.iter().zip(&terms);
        // Metrics of mixed examples are about the class with the greatest share.
        let targets = batch.targets.hardened();
        let predictions = Predictions {
            outputs: outputs.view(),
            targets: &targets,
            indices: &batch.indices,
        };
        let gradients = Gradients {
            tensors,
            loss: weighted
                .map(|((_, weight, _), (_, value))| weight * value)
                .sum(),
            metrics: self.measure(&predictions)?,
            terms,
            examples: batch.len(),
        };
        self.micro_batch += 1;
        Ok(gradients)
    }

    /// One step of the optimizer on the gradients of all processes: clips the gradients, if the options say so, and
    /// changes the weights. Weights change only if every gradient is finite.
    ///
    /// # Errors
    /// A loss term or gradient is not finite ([`TrainError::NotFinite`]), the optimizer fails, or another process is lost
    /// ([`TrainError::Processes`]).
    pub fn update(&mut self, mut gradients: Gradients) -> Result<StepReport> {
        self.reduce(&mut gradients)?;
        self.check_coverage(&gradients)?;
        for (name, value) in &gradients.terms {
            self.require_finite(&format!("loss term \"{name}\""), *value)?;
        }
        let gradient_norm = optim::global_norm(&gradients.tensors)?;
        self.require_finite("the gradient norm", gradient_norm)?;
        let limit = self.options.clip_norm;
        let factor = limit.map_or(1.0, |limit| optim::clip_factor(gradient_norm, limit));
        let schedule = self.schedule.as_ref();
        let learning_rate = schedule.learning_rate(self.state.step, self.options.steps);
        let parameters = self.model.params();
        let tensors = &mut gradients.tensors;
        self.optimizer
            .step_scaled(parameters, tensors, factor, learning_rate)?;
        self.state.step += 1;
        self.micro_batch = 0;
        Ok(StepReport {
            loss: gradients.loss,
            terms: gradients.terms,
            metrics: gradients.metrics,
            examples: gradients.examples,
            gradient_norm,
            learning_rate,
        })
    }

    /// One gradient for each parameter; an undefined tensor for those that are not trained.
    fn backward(&self, loss: &Tensor, tape: &mut Tape) -> Result<Vec<Tensor>> {
        let parameters = || self.model.params().parameters().map(|(_, tensor)| tensor);
        let trained: Vec<&Tensor> = parameters().filter(|t| t.requires_grad()).collect();
        let mut found = tape.backward(loss, &trained)?.into_iter();
        let gradient = |tensor: &Tensor| match tensor.requires_grad() {
            true => found.next().unwrap_or_else(Tensor::new),
            false => Tensor::new(),
        };
        Ok(parameters().map(gradient).collect())
    }

    /// Streams of the next training pass: those of the step for its first batch, separate ones for each further batch.
    fn noise_streams(&self) -> Streams {
        let (step, batch) = (self.state.step, self.micro_batch);
        Streams::new(self.options.seed).child(&match batch {
            0 => format!("noise/step/{step}"),
            _ => format!("noise/step/{step}/batch/{batch}"),
        })
    }

    fn loss(&mut self, output: &ModelOutput, targets: &Tensor) -> Result<Loss> {
        let context = LossContext {
            output,
            targets,
            model: self.model.as_ref(),
            step: self.state.step,
        };
        let progress = self.state.step as f64 / self.options.steps.max(1) as f64;
        let mut terms = Vec::with_capacity(self.losses.len());
        let mut sum: Option<Tensor> = None;
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
            let weighted = value.f_mul_scalar(term.weight())?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
            let value = value.f_detach()?.f_to_device(output.logits.device())?;
            let value = value.f_to_kind(Kind::Double)?;
            terms.push((term.name().to_owned(), term.weight(), value));
        }
        let none = || TrainError::State("a trainer needs at least one loss term".into());
        Ok(Loss {
            sum: sum.ok_or_else(none)?,
            terms,
        })
    }

    fn measure(&self, predictions: &Predictions<'_>) -> Result<Vec<Sums>> {
        let measure = |metric: &dyn Metric| {
            let mut sums = Sums::default();
            metric.update(predictions, &mut sums)?;
            Ok(sums)
        };
        self.metrics.iter().map(|m| measure(m.as_ref())).collect()
    }

    fn require_finite(&self, what: &str, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let last = self.checkpoints.location();
        let last = last.map_or("There is no checkpoint yet".into(), |location| {
            format!("The last checkpoint is {location}")
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

/// Values of the loss terms, and outputs `[batch, width]`: everything crosses from the device at once.
fn to_host(loss: &Loss, logits: &Tensor) -> Result<(Vec<f64>, Array2<f64>)> {
    let outputs = logits.f_detach()?.f_to_kind(Kind::Double)?;
    let (rows, width) = outputs.size2()?;
    let mut parts: Vec<Tensor> = vec![];
    for (_, _, value) in &loss.terms {
        parts.push(value.f_view([1])?);
    }
    parts.push(outputs.f_reshape([-1])?);
    let mut values = Vec::<f64>::try_from(Tensor::f_cat(&parts, 0)?)?;
    let outputs = values.split_off(loss.terms.len());
    let shape = (rows as usize, width as usize);
    let outputs = Array2::from_shape_vec(shape, outputs)
        .map_err(|error| TrainError::Custom(Box::new(error)))?;
    Ok((values, outputs))
}
