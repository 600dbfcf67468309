//! Evaluation of a model on libtorch, without gradients.

use std::sync::Arc;

use nac_core::rng::Streams;
use nac_data::{Dataset, Share};
use nac_dist::{Group, Single};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::Model;
use ndarray::Array2;
use tch::{Device, Kind};

use super::state::Trainer;
use crate::batch::tensors;
use crate::error::{Result, TrainError};
use crate::metrics::{Evaluation, Evaluator, Metric};

/// Evaluates a model on all examples of a data set, in their order.
///
/// `seed` feeds the noise of models that draw in evaluation too.
///
/// # Errors
/// The data set is empty or cannot be read, does not go with the model, or a metric is not for such targets.
pub fn evaluate(
    model: &dyn Model,
    dataset: &Arc<dyn Dataset>,
    metrics: &[Box<dyn Metric>],
    evaluator: &Evaluator,
    seed: u64,
) -> Result<Evaluation> {
    evaluate_shared(model, dataset, metrics, evaluator, seed, &Single)
}

fn evaluate_shared(
    model: &dyn Model,
    dataset: &Arc<dyn Dataset>,
    metrics: &[Box<dyn Metric>],
    evaluator: &Evaluator,
    seed: u64,
    group: &dyn Group,
) -> Result<Evaluation> {
    let share = Share::new(group.rank(), group.size())?;
    let device = model.params().device();
    let streams = Streams::new(seed).child("noise/evaluation");
    evaluator.run_shared(group, dataset, metrics, |index, batch| {
        let (inputs, _) = tensors(batch, device)?;
        let first = evaluator.first_example(dataset.as_ref(), share, index);
        let mut noise =
            StreamNoise::new(streams.child(&index.to_string())).starting_at(first as u64);
        let mut context = ForwardContext::evaluation().with_noise(&mut noise);
        let logits = tch::no_grad(|| model.forward(&inputs, &mut context))?.logits;
        let (rows, width) = logits.size2()?;
        let values = logits
            .f_to_kind(Kind::Double)?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?
            .f_view([-1])?;
        let shape = (rows as usize, width as usize);
        Array2::from_shape_vec(shape, Vec::try_from(values)?)
            .map_err(|error| TrainError::Custom(Box::new(error)))
    })
}

impl Trainer {
    /// Evaluates the model as it is. All processes of the run call this; each takes a share.
    ///
    /// # Errors
    /// As [`evaluate()`].
    pub fn evaluate(&self, dataset: &Arc<dyn Dataset>) -> Result<Evaluation> {
        let evaluator = Evaluator {
            batch_size: self.options.eval_batch_size,
            workers: self.options.workers,
        };
        let seed = self.options.seed;
        evaluate_shared(
            self.model.as_ref(),
            dataset,
            &self.metrics,
            &evaluator,
            seed,
            self.group.as_ref(),
        )
        .map_err(|error| match error {
            TrainError::Dist(source) => self.lost(source),
            other => other,
        })
    }
}
