//! Evaluation of a run's model through the interface of engines, so that one engine can be swapped for another.

use std::path::Path;
use std::sync::Arc;

use nac_core::model::ModelFile;
use nac_data::{DataDirs, Dataset, Loader, LoaderOptions};
use nac_engine::{CoreEngine, Engine, EngineOptions, ModelWeights};
use nac_modules::device::open_device;
use nac_modules::engine::TorchEngine;
use nac_modules::params::TensorFile;
use ndarray::ArrayView1;

use super::{Data, DataProgress, RunFolder, Split, model_file, set_threads};
use crate::batch::arrays;
use crate::error::{Result, TrainError};
use crate::trainer::{Evaluation, require_classes};

/// What computes a model, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineChoice {
    /// nac-core, without libtorch.
    Core(EngineOptions),
    /// libtorch.
    Torch {
        /// `auto`, `cpu`, `cuda` or `cuda:N`.
        device: String,
        /// Number of libtorch's threads, for the whole process; none or 0 for what it is.
        threads: Option<usize>,
    },
}

/// Makes an engine of a model.
///
/// # Errors
/// The weights do not fit the settings, or the engine does not run them.
pub fn open_engine(
    file: ModelFile,
    weights: &ModelWeights,
    choice: EngineChoice,
) -> Result<Box<dyn Engine>> {
    Ok(match choice {
        EngineChoice::Core(options) => Box::new(CoreEngine::new(file, weights, options)?),
        EngineChoice::Torch { device, threads } => {
            let device = open_device(&device)?;
            set_threads(threads.unwrap_or(0));
            Box::new(TorchEngine::new(file, weights, device)?)
        }
    })
}

/// Evaluates the last checkpoint of the run in `folder` on a split, on an engine.
///
/// # Errors
/// The folder holds no run or no checkpoint, the checkpoint does not fit its settings, or as [`open_engine`] and
/// [`evaluate_engine`].
pub fn evaluate_run_on(
    folder: &Path,
    split: Split,
    data_dirs: &DataDirs,
    choice: EngineChoice,
) -> Result<Evaluation> {
    let folder = RunFolder::new(folder.to_owned());
    let config = folder.config()?.check()?;
    let data = Data::open(&config, data_dirs, &DataProgress::default())?;
    let file = model_file(&config, data.train.info())?;
    let content = TensorFile {
        tensors: folder.last_checkpoint()?.model,
        ..TensorFile::default()
    };
    let weights = ModelWeights::from_bytes(&content.to_bytes()?)?;
    // A choice of its own comes later and wins.
    set_threads(config.threads);
    let engine = open_engine(file, &weights, choice)?;
    let training = &config.training;
    evaluate_engine(
        engine.as_ref(),
        data.part(split),
        training.eval_batch_size,
        training.workers,
    )
}

/// Mean cross-entropy and accuracy of an engine on all examples of a data set, in their order.
///
/// The result does not depend on `workers`.
///
/// # Errors
/// The data set is empty or cannot be read, or does not go with the model.
pub fn evaluate_engine(
    engine: &dyn Engine,
    dataset: &Arc<dyn Dataset>,
    batch_size: usize,
    workers: usize,
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
    let (found, needed) = (engine.output().width(), info.output.width());
    if found < needed {
        let reason = format!("has {needed} classes, but the model tells {found} apart");
        return Err(TrainError::Input {
            dataset: info.name.clone(),
            reason,
        });
    }
    let options = LoaderOptions {
        batch_size,
        workers,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(dataset.clone(), options)?;
    let (mut loss, mut correct) = (0.0, 0_usize);
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        let logits = engine.infer(&arrays(&batch)?)?;
        for (logits, &class) in logits.rows().into_iter().zip(batch.targets.classes()?) {
            // The loader lets only classes of the data set pass.
            let class = usize::try_from(class).unwrap_or(0);
            loss += cross_entropy(logits, class);
            correct += usize::from(greatest(logits) == class);
        }
    }
    let examples = dataset.len();
    Ok(Evaluation {
        loss: loss / examples as f64,
        accuracy: correct as f64 / examples as f64,
        examples,
    })
}

/// `log Σ exp(x) − x_label`.
fn cross_entropy(logits: ArrayView1<'_, f32>, label: usize) -> f64 {
    let values = || logits.iter().map(|&x| f64::from(x));
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values().map(|x| (x - most).exp()).sum();
    most + sum.ln() - f64::from(logits[label])
}

/// The first of the greatest.
fn greatest(logits: ArrayView1<'_, f32>) -> usize {
    let mut best = 0;
    for (class, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::testing::InMemory;
    use ndarray::array;

    #[test]
    fn scores_are_those_of_the_definition() {
        let logits = array![1.0_f32, 3.0, 3.0, -80.0];
        let sum = 1.0_f64.exp() + 2.0 * 3.0_f64.exp() + (-80.0_f64).exp();
        let found = cross_entropy(logits.view(), 0);
        assert!((found - (sum.ln() - 1.0)).abs() < 1e-12, "{found}");
        assert_eq!(greatest(logits.view()), 1);
        assert!(cross_entropy(array![1e30_f32, 0.0].view(), 0).abs() < 1e-12);
    }

    #[test]
    fn models_of_other_data_are_refused() {
        let file = nac_core::model::Preset::get("cpu-digits").unwrap().file;
        let (engine, _) = CoreEngine::random(file, 0, EngineOptions::default()).unwrap();
        let evaluate = |dataset: InMemory| {
            let dataset: Arc<dyn Dataset> = Arc::new(dataset);
            evaluate_engine(&engine, &dataset, 2, 0)
        };
        let found = evaluate(InMemory::images(3, 1, 8, 8, 3)).unwrap();
        assert!(found.examples == 3 && found.loss > 0.0);
        for (dataset, part) in [
            (InMemory::images(3, 1, 9, 8, 3), "[2, 1, 9, 8]"),
            (InMemory::tokens(3, 9, 5, 3), "`image`"),
            (InMemory::regression(3, 2, 2), "need classes"),
            (InMemory::images(3, 1, 8, 8, 11), "11 classes"),
            (InMemory::images(0, 1, 8, 8, 3), "no example"),
        ] {
            let error = evaluate(dataset).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
