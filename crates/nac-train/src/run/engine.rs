//! Evaluation of a run's model through the interface of engines, so that one engine can be swapped for another.

use std::path::Path;
use std::sync::Arc;

use nac_core::model::ModelFile;
use nac_data::corruption::CorruptionConfig;
use nac_data::{DataDirs, Dataset};
use nac_engine::{CoreEngine, Engine, EngineOptions, ModelWeights};
use nac_modules::device::open_device;

use super::trained::{trained_file, weights};
use super::{RunFolder, Split, evaluator, metrics, open_again, set_threads};
use crate::TorchEngine;
use crate::batch::arrays;
use crate::error::{Result, TrainError};
use crate::finite::require_finite;
use crate::metrics::{Evaluation, Evaluator, Metric};

/// What computes a model, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineChoice {
    /// nac-engine, without libtorch.
    Core(EngineOptions),
    /// libtorch.
    Torch {
        /// `auto`, `cpu`, `cuda` or `cuda:N`.
        device: String,
        /// Number of libtorch's threads, for the whole process; none or 0 leaves it unchanged.
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
    corruption: Option<CorruptionConfig>,
) -> Result<Evaluation> {
    let folder = RunFolder::new(folder.to_owned());
    let (config, last) = folder.trained()?;
    let data = open_again(&folder, &config, data_dirs)?;
    let file = trained_file(&config, &last)?;
    let weights = weights(&last)?;
    // An explicit choice comes later and wins.
    set_threads(config.threads);
    let engine = open_engine(file, &weights, choice)?;
    let dataset = &data.part_under(split, corruption)?;
    let (metrics, evaluator) = (metrics(&config, &dataset.info().output), evaluator(&config));
    require_finite(evaluate_engine(
        engine.as_ref(),
        dataset,
        &metrics,
        &evaluator,
    )?)
}

/// Loss and metrics of an engine on all examples of a data set, in their order.
///
/// # Errors
/// The data set is empty or cannot be read, does not go with the model, or a metric is not for such targets.
pub fn evaluate_engine(
    engine: &dyn Engine,
    dataset: &Arc<dyn Dataset>,
    metrics: &[Box<dyn Metric>],
    evaluator: &Evaluator,
) -> Result<Evaluation> {
    let info = dataset.info();
    let (found, needed) = (engine.output().width(), info.output.width());
    if found < needed {
        let reason = format!("has {needed} classes, but the model tells {found} apart");
        return Err(TrainError::Input {
            dataset: info.name.clone(),
            reason,
        });
    }
    evaluator.run(dataset, metrics, |_, batch| {
        Ok(engine.infer(&arrays(batch)?)?.mapv(f64::from))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::defaults;
    use nac_data::testing::InMemory;

    #[test]
    fn models_of_other_data_are_refused() {
        let file = nac_core::model::Preset::get("cpu-digits").unwrap().file;
        let (engine, _) = CoreEngine::random(file, 0, EngineOptions::default()).unwrap();
        let evaluator = Evaluator {
            batch_size: 2,
            workers: 0,
        };
        let evaluate = |dataset: InMemory| {
            let dataset: Arc<dyn Dataset> = Arc::new(dataset);
            let output = dataset.info().output.clone();
            evaluate_engine(&engine, &dataset, &defaults(&output), &evaluator)
        };
        let found = evaluate(InMemory::images(3, 1, 8, 8, 3)).unwrap();
        assert!(found.examples == 3 && found.loss > 0.0);
        for (dataset, part) in [
            (InMemory::images(3, 1, 9, 8, 3), "[2, 1, 9, 8]"),
            (InMemory::tokens(3, 9, 5, 3), "`image`"),
            (InMemory::regression(3, 2, 2), "`image`"),
            (InMemory::images(3, 1, 8, 8, 11), "11 classes"),
            (InMemory::images(0, 1, 8, 8, 3), "no example"),
        ] {
            let error = evaluate(dataset).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
