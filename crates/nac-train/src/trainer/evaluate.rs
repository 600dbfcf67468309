//! Evaluation: mean cross-entropy and accuracy over a data set, without gradients.

use std::sync::Arc;

use nac_core::rng::Streams;
use nac_data::{Dataset, DatasetInfo, Loader, LoaderOptions};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::Model;
use tch::{Kind, Reduction, Tensor};

use crate::batch::tensors;
use crate::error::{Result, TrainError};

/// Result of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy, without label smoothing.
    pub loss: f64,
    /// Share of correct answers, 0 to 1.
    pub accuracy: f64,
    /// Number of examples.
    pub examples: usize,
}

/// Evaluates a model on all examples of a data set, in their order.
///
/// `seed` feeds the noise of models that draw in evaluation too. The result does not depend on `workers`.
///
/// # Errors
/// The data set is empty or cannot be read, or does not go with the model.
pub fn evaluate(
    model: &dyn Model,
    dataset: &Arc<dyn Dataset>,
    batch_size: usize,
    workers: usize,
    seed: u64,
) -> Result<Evaluation> {
    let info = dataset.info();
    if dataset.is_empty() {
        let reason = "there is no example to evaluate on".into();
        return Err(TrainError::Input {
            dataset: info.name.clone(),
            reason,
        });
    }
    require_classes(info)?;
    let device = model.params().device();
    let options = LoaderOptions {
        batch_size,
        workers,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(dataset.clone(), options)?;
    let streams = Streams::new(seed).child("noise/evaluation");
    let (mut loss, mut correct) = (0.0, 0.0);
    for (index, batch) in loader.epoch(0, 0).enumerate() {
        let (inputs, labels) = tensors(&batch?, device)?;
        let mut noise = StreamNoise::new(streams.child(&index.to_string()));
        let mut context = ForwardContext::evaluation().with_noise(&mut noise);
        tch::no_grad(|| {
            let logits = model.forward(&inputs, &mut context)?.logits;
            let sum =
                logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0)?;
            loss += sum.f_to_kind(Kind::Double)?.f_double_value(&[])?;
            correct += count_correct(&logits, &labels)?.f_double_value(&[])?;
            Ok::<(), TrainError>(())
        })?;
    }
    let examples = dataset.len();
    Ok(Evaluation {
        loss: loss / examples as f64,
        accuracy: correct / examples as f64,
        examples,
    })
}

/// An error if answers are not classes.
pub(crate) fn require_classes(info: &DatasetInfo) -> Result<()> {
    if info.output.class_count().is_some() {
        return Ok(());
    }
    let found = info.output.width();
    Err(TrainError::Input {
        dataset: info.name.clone(),
        reason: format!("accuracy and cross-entropy need classes, its targets are {found} values"),
    })
}

/// Number of rows whose greatest score is that of the label, `[]` in double.
pub(super) fn count_correct(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    Ok(logits
        .f_detach()?
        .f_argmax(-1, false)?
        .f_eq_tensor(labels)?
        .f_sum(Kind::Double)?)
}
