//! A whole run in a folder: settings → data → model → training → test → summary.
//!
//! | file | content |
//! |---|---|
//! | `config.toml` | the settings, defaults and overrides written out |
//! | `data.json` | what the data look like, and their [`Fingerprint`](nac_data::Fingerprint) |
//! | `revision` | git revision of the folder the program ran in, or `unknown` |
//! | `metrics.jsonl` | one JSON object a line, see [`JsonLines`] |
//! | `checkpoints/` | see [`FolderStore`] |
//! | `summary.json` | [`RunSummary`], written last |
//!
//! Settings, data, checkpoints and summary hold their digest ([`nac_core::digest`]), which is compared when they are read.

mod build;
mod coverage;
mod data_progress;
mod engine;
mod export;
mod fit_signatures;
mod folder;
mod memory;
mod options;
mod processes;
mod revision;
mod trained;
mod whitening;

use std::path::Path;
use std::sync::Arc;

use nac_data::corruption::CorruptionConfig;
use nac_data::{DataDirs, Dataset, Loader, LoaderOptions, Progress as _};
use nac_modules::attention::SignatureGraph;
use nac_modules::device::open_device;
use nac_modules::model::{BuildModel as _, Model};
use tch::{Device, Kind};

pub use build::{Data, build_model, losses, majority_accuracy, metrics, model_file, optimizer};
pub(crate) use coverage::uncovered_blocks;
pub use data_progress::DataProgress;
pub use engine::{EngineChoice, evaluate_engine, evaluate_run_on, open_engine};
pub use export::{Exported, SETTINGS_FILE, WEIGHTS_FILE, export_preset, export_run};
pub use fit_signatures::fit_signatures;
pub use folder::{RunData, RunFolder};
pub use options::{RunOptions, Split};
pub use processes::{Processes, processes};
pub use revision::revision;
use trained::description;
pub use trained::trained_model;
pub(crate) use trained::{trained_file, weights};
pub use whitening::set_whitening;

use crate::batch::tensors;
use crate::checkpoint::FolderStore;
use crate::config::{RunConfig, ValidConfig, most_threads, to_toml};
use crate::error::{Result, TrainError};
use crate::finite::require_finite;
use crate::metrics::{Evaluation, Evaluator, JsonLines};
use crate::optim::WarmupCosine;
use crate::processes::agree;
use crate::render::ProgressMode;
use crate::summary::{CurvePoint, GraphSnapshot, RunSummary};
use crate::trainer::{Outcome, Trainer, TrainerOptions, evaluate};

/// Trains, evaluates on test once with the last checkpoint read back from disk, and writes the summary.
///
/// With `options.resume`, goes on with the run in the folder (or starts, if there is none); if that run is
/// finished, its summary is returned. Sets the number of libtorch's threads for the whole process. All processes of
/// `options.group` call this with the same settings and a folder that they share; rank 0 alone writes.
///
/// # Errors
/// A setting, the data or the folder cannot be used; training fails; [`TrainError::Interrupted`] if it was asked
/// to stop, after everything is saved.
pub fn run(config: &RunConfig, options: &RunOptions) -> Result<RunSummary> {
    let config = config.check()?;
    let folder = RunFolder::new(options.folder(&config.name));
    let group = options.group.as_ref();
    let found = agree(group, folder.inspect(&config, options.resume))?;
    if let Some(summary) = found {
        return Ok(summary);
    }
    let device = open_device(&config.device)?;
    config.check_machine()?;
    set_threads(options.threads(config.threads));
    let data = open_data(&config, options)?;
    let run_data = data.description();
    let same = folder.check_data(&run_data.fingerprint);
    agree(group, same)?;
    let fits = if device.is_cuda() {
        Ok(())
    } else {
        memory::check_memory(&config, &data, options)
    };
    agree(group, fits)?;
    let model = prepared_model(&config, &data, device)?;
    let lock = match group.rank() {
        0 => folder
            .prepare(&config, &run_data, data.episode.as_ref())
            .map(Some),
        _ => Ok(None),
    };
    let _lock = agree(group, lock)?;
    let mut trainer = trainer(&config, &data, model, &folder, options)?;
    if options.resume {
        let resumed = trainer.resume();
        agree(group, resumed)?;
    }
    // Asked while data and model were prepared: there is nothing to save that is not saved. Several processes agree on it
    // after a step.
    let outcome = match options.interrupt.raised() {
        Some(signal) if group.size() == 1 => Outcome::Interrupted(signal),
        _ => trainer.train()?,
    };
    if let Outcome::Interrupted(signal) = outcome {
        return Err(TrainError::Interrupted {
            step: trainer.state().step,
            signal,
            folder: Some(folder.path().to_owned()),
        });
    }
    // Test the weights that a user of the checkpoint gets, not those in memory.
    trainer.reload()?;
    let test = require_finite(trainer.evaluate(&data.test)?)?;
    trainer.record_evaluation("test", &test)?;
    let summary = summarize(&config, &data, &trainer, test, folder.revision()?)?;
    let written = match group.rank() {
        0 => folder.finish(&summary),
        _ => Ok(()),
    };
    agree(group, written)?;
    Ok(summary)
}

/// The data. Rank 0 opens them before the others do, so that they are downloaded or generated once.
fn open_data(config: &ValidConfig, options: &RunOptions) -> Result<Data> {
    let group = options.group.as_ref();
    let open = |progress| Data::open(config, &options.data_dirs, &DataProgress::new(progress));
    if group.size() == 1 {
        return open(options.progress);
    }
    let first = match group.rank() {
        0 => open(options.progress).map(Some),
        _ => Ok(None),
    };
    let data = match agree(group, first)? {
        Some(data) => Ok(data),
        None => open(ProgressMode::Quiet),
    };
    agree(group, data)
}

/// The model with its initial weights.
fn prepared_model(config: &ValidConfig, data: &Data, device: Device) -> Result<Box<dyn Model>> {
    let model = build_model(config, data.train.info(), device)?;
    fit_signatures(config, model.as_ref())?;
    set_whitening(config, data.train.as_ref(), model.as_ref())?;
    Ok(model)
}

/// Evaluates the last checkpoint of the run in `folder` on a split.
///
/// # Errors
/// The folder holds no run or no checkpoint, or the checkpoint does not fit its settings.
pub fn evaluate_run(
    folder: &Path,
    split: Split,
    data_dirs: &DataDirs,
    device: &str,
    corruption: Option<CorruptionConfig>,
) -> Result<Evaluation> {
    let folder = RunFolder::new(folder.to_owned());
    let (config, last) = folder.trained()?;
    set_threads(config.threads);
    let data = open_again(&folder, &config, data_dirs)?;
    let mut model = build_model(&config, description(&last)?, open_device(device)?)?;
    model.params_mut().import(&last.source, &last.model)?;
    let dataset = &data.part_under(split, corruption)?;
    let metrics = metrics(&config, &dataset.info().output);
    let (model, evaluator) = (model.as_ref(), evaluator(&config));
    require_finite(evaluate(model, dataset, &metrics, &evaluator, config.seed)?)
}

/// Opens the data of a run for another look, and says if they are not those that it was trained with.
fn open_again(folder: &RunFolder, config: &ValidConfig, dirs: &DataDirs) -> Result<Data> {
    let progress = DataProgress::default();
    let data = Data::open(config, dirs, &progress)?;
    if let Some(before) = folder.data()? {
        let differences = before
            .fingerprint
            .differences(&data.description().fingerprint);
        if !differences.is_empty() {
            progress.note(&format!(
                "warning: the data are not those that the run was trained with: {}",
                differences.join(", ")
            ));
        }
    }
    Ok(data)
}

fn trainer(
    config: &ValidConfig,
    data: &Data,
    model: Box<dyn Model>,
    folder: &RunFolder,
    options: &RunOptions,
) -> Result<Trainer> {
    let mut trainer_options = TrainerOptions::from_config(config, data.train.len());
    trainer_options.transform = data.transform.clone();
    trainer_options.settings = to_toml(config);
    let store = FolderStore::open(&folder.checkpoints(), config.training.keep_checkpoints)?;
    let label = if options.label.is_empty() {
        config.name.clone()
    } else {
        options.label.clone()
    };
    let (info, device) = (data.train.info(), model.params().device());
    let spec = model_file(config, info)?.spec()?;
    let progress = match options.group.rank() {
        0 => options.progress,
        _ => ProgressMode::Quiet,
    };
    let mut renderer = progress.renderer(label);
    if let Some(text) = coverage::uncovered_blocks(&config.training, &spec, device)? {
        renderer.note(&text);
    }
    let output = &info.output;
    let builder = Trainer::builder(model, data.train.clone());
    let builder = match options.group.rank() {
        0 => builder.sink(JsonLines::open(&folder.metrics())?),
        _ => builder,
    };
    builder
        .group(options.group.clone())
        .options(trainer_options)
        .losses(losses(config, output))
        .metrics(metrics(config, output))
        .boxed_optimizer(optimizer(config))
        .schedule(WarmupCosine::new(&config.optimizer))
        .validation(data.validation.clone())
        .checkpoints(store)
        .interrupt(options.interrupt.clone())
        .boxed_renderer(renderer)
        .build()
}

fn evaluator(config: &ValidConfig) -> Evaluator {
    Evaluator {
        batch_size: config.training.eval_batch_size,
        workers: config.training.workers,
    }
}

fn summarize(
    config: &ValidConfig,
    data: &Data,
    trainer: &Trainer,
    test: Evaluation,
    revision: String,
) -> Result<RunSummary> {
    let (model, state) = (trainer.model(), trainer.state());
    Ok(RunSummary {
        name: config.name.clone(),
        dataset: data.train.info().name.clone(),
        model: config.model.kind.to_string(),
        seed: config.seed,
        parameters: model.params().parameter_count(),
        steps: state.step,
        batch_size: config.training.batch_size * config.training.accumulate,
        train_examples: data.train.len(),
        validation_examples: data.validation.len(),
        test_examples: data.test.len(),
        output: data.train.info().output.clone(),
        majority_accuracy: majority_accuracy(data.train.as_ref(), data.test.as_ref())?,
        metric: trainer.primary_metric().to_owned(),
        train_curve: state.train_curve.clone(),
        validation_curve: state.validation_curve.clone(),
        test: CurvePoint::new(state.step, test),
        wall_seconds: trainer.wall_seconds(),
        examples_per_second: trainer.examples_per_second(),
        device: match model.params().device() {
            Device::Cpu => "cpu".into(),
            Device::Cuda(index) => format!("cuda:{index}"),
            other => format!("{other:?}"),
        },
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(0),
        processes: trainer.group().size(),
        revision,
        without_gradient: state.without_gradient.clone().unwrap_or_default(),
        graphs: graphs(model, &data.test, config.training.eval_batch_size)?,
    })
}

/// The graphs of the circuit that the model uses for the first examples of a data set, in the mean over them.
fn graphs(
    model: &dyn Model,
    dataset: &Arc<dyn Dataset>,
    batch_size: usize,
) -> Result<Vec<GraphSnapshot>> {
    let options = LoaderOptions {
        batch_size,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(dataset.clone(), options)?;
    let Some(batch) = loader.epoch(0, 0).next() else {
        return Ok(Vec::new());
    };
    let (inputs, _) = tensors(&batch?, model.params().device())?;
    let output = model.predict(&inputs)?;
    let snapshot = |graph: SignatureGraph<'_>| {
        let links = graph
            .mean_link_probabilities()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?;
        let modules = usize::try_from(links.size()[0]).unwrap_or(0);
        let link_probabilities = Vec::try_from(links.f_contiguous()?.f_view([-1_i64])?)?;
        Ok(GraphSnapshot {
            name: graph.name.to_owned(),
            modules,
            link_probabilities,
        })
    };
    tch::no_grad(|| output.graphs().map(snapshot).collect())
}

/// Sets libtorch's threads, to no more than help on this machine: the settings may come from a larger one.
pub(crate) fn set_threads(threads: usize) {
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    if let (1.., Ok(count)) = (threads, i32::try_from(threads.min(most_threads(machine)))) {
        tch::set_num_threads(count);
    }
}
