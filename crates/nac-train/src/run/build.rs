//! From settings to data, model and loss.

use std::sync::Arc;

use nac_core::model::OutputSpec;
use nac_core::rng::Streams;
use nac_data::corruption::{Corrupted, CorruptionConfig};
use nac_data::split::Subset;
use nac_data::{
    DataDirs, Dataset, DatasetInfo, Episode, Fingerprint, Progress, Transform, open_with_progress,
    transform,
};
use nac_modules::generator::GeneratorKind;
use nac_modules::model::{
    BuildModel, Measure, Model, ModelFile, ModelKind, matched_latent_dim, matched_to,
};
use nac_modules::params::ParamStore;
use tch::{Device, Kind};

use super::Split;
use super::folder::RunData;
use crate::config::{BaselineMatch, BaselineReference, OptimizerKind, ValidConfig};
use crate::error::{Result, TrainError};
use crate::loss::{
    CircuitSpread, CrossEntropy, GraphPriorLoss, LossTerm, MeanSquaredError, PriorDistance,
    SignatureDistribution, SignatureRepulsion,
};
use crate::metrics::{self, Metric, by_name};
use crate::optim::{AdamW, Optimizer};

/// The parts of a run's data.
#[derive(Clone)]
pub struct Data {
    /// Examples to learn from.
    pub train: Arc<dyn Dataset>,
    /// Examples to look at on the way.
    pub validation: Arc<dyn Dataset>,
    /// Examples for the end.
    pub test: Arc<dyn Dataset>,
    /// Random change of training examples.
    pub transform: Option<Arc<dyn Transform>>,
    /// Which examples `train` has, if `data.shots` of each class were drawn.
    pub episode: Option<Episode>,
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Data")
            .field("info", self.train.info())
            .field("train", &self.train.len())
            .finish_non_exhaustive()
    }
}

impl Data {
    /// Opens the data set, and takes `training.validation_examples` from train (or that many of the data set's
    /// own validation part).
    ///
    /// # Errors
    /// The data set is unknown, absent, damaged, or too small for the validation split.
    pub fn open(config: &ValidConfig, dirs: &DataDirs, progress: &dyn Progress) -> Result<Self> {
        let splits = open_with_progress(&config.data, dirs, config.seed, progress)?;
        let count = config.training.validation_examples;
        if splits.validation.is_none() && count >= splits.train.len() {
            let reason = format!(
                "must leave some of the {} training examples",
                splits.train.len()
            );
            return Err(TrainError::setting(
                "training.validation_examples",
                count,
                reason,
            ));
        }
        let seed = Streams::new(config.seed).derive("data/split");
        let (train, validation) = splits.train_and_validation(count, seed)?;
        let validation: Arc<dyn Dataset> = if validation.len() > count {
            Arc::new(Subset::first(validation, count))
        } else {
            validation
        };
        let (train, episode) = match config.data.shots {
            Some(shots) => {
                let episode = Episode::draw(train.as_ref(), shots, config.seed)?;
                let drawn: Arc<dyn Dataset> = Arc::new(episode.of(train)?);
                (drawn, Some(episode))
            }
            None => (train, None),
        };
        let transform = transform::from_specs(&config.data.augment, train.info())?;
        Ok(Self {
            train,
            validation,
            test: splits.test,
            transform,
            episode,
        })
    }

    /// What the data look like, with their fingerprint.
    pub fn description(&self) -> RunData {
        let parts = [&self.train, &self.validation, &self.test];
        let [train, validation, test] = parts.map(|part| part.as_ref());
        RunData {
            fingerprint: Fingerprint::of(train, validation, test),
            info: train.info().clone(),
        }
    }

    /// The examples of a part.
    pub fn part(&self, split: Split) -> &Arc<dyn Dataset> {
        match split {
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// The examples of a part with their images corrupted, if asked for.
    ///
    /// # Errors
    /// There are no images.
    pub fn part_under(
        &self,
        split: Split,
        corruption: Option<CorruptionConfig>,
    ) -> Result<Arc<dyn Dataset>> {
        let part = self.part(split).clone();
        Ok(match corruption {
            Some(corruption) => Arc::new(Corrupted::new(part, corruption)?),
            None => part,
        })
    }
}

/// The model of a run as it is built for a data set, with the width that matches it to the circuit.
///
/// # Errors
/// A setting is out of range, or there is no tokenizer for an input of the data set.
pub fn model_file(config: &ValidConfig, info: &DatasetInfo) -> Result<ModelFile> {
    let (inputs, output) = (info.inputs.clone(), info.output.clone());
    let mut model = config.model.clone();
    let measure = match config.baseline.matching {
        BaselineMatch::None => None,
        BaselineMatch::Parameters => Some(Measure::Parameters),
        BaselineMatch::Flops => Some(Measure::TrainingFlops {
            batch: config.training.batch_size * config.training.accumulate,
        }),
    };
    match (measure, config.baseline.reference) {
        (Some(measure), BaselineReference::Conditional) => {
            let mut reference = model.clone();
            reference.kind = ModelKind::Nac;
            reference.unused_inputs.clear();
            let generator = &mut reference.generator;
            generator.kind = GeneratorKind::Conditional;
            (generator.signatures, generator.codes) = (true, true);
            model = matched_to(&model, &reference, (&inputs, &output), measure)?;
        }
        (Some(measure), BaselineReference::Circuit) if model.kind == ModelKind::PerceiverIo => {
            model.perceiver_io.latent_dim = matched_latent_dim(&model, &inputs, &output, measure)?;
        }
        _ => {}
    }
    Ok(ModelFile {
        inputs,
        output,
        preprocessing: info.preprocessing.clone(),
        model,
    })
}

/// Builds the model for a data set, with initial weights from the seed.
///
/// # Errors
/// As [`model_file`].
pub fn build_model(
    config: &ValidConfig,
    info: &DatasetInfo,
    device: Device,
) -> Result<Box<dyn Model>> {
    let store = ParamStore::new(device, Kind::Float, config.seed);
    Ok(model_file(config, info)?.build(store)?)
}

/// The loss terms of a run. Terms on signatures are for circuits; the baseline goes without.
pub fn losses(config: &ValidConfig, output: &OutputSpec) -> Vec<Box<dyn LossTerm>> {
    let settings = &config.loss;
    let mut losses: Vec<Box<dyn LossTerm>> = vec![match output.class_count() {
        Some(_) => Box::new(CrossEntropy::new(settings.label_smoothing)),
        None => Box::new(MeanSquaredError),
    }];
    if config.model.kind != ModelKind::Nac {
        return losses;
    }
    if let Some(prior) = &settings.graph_prior {
        let distance = PriorDistance {
            loss_type: prior.loss_type,
            clip: prior.clip,
        };
        let mut term = GraphPriorLoss::new(prior.prior.build(), prior.weight, prior.refresh_every)
            .with_distance(distance)
            .with_modules(prior.modules);
        if let Some(scale) = prior.multiplicative_matching_noise {
            term = term.with_matching_noise(scale, Streams::new(config.seed).child("loss"));
        }
        losses.push(Box::new(term));
    }
    let is_conditional = config.model.generator.kind == GeneratorKind::Conditional;
    if let Some(term) = settings.circuit_spread.as_ref().filter(|_| is_conditional) {
        let term = CircuitSpread::new(term.weight, term.hinge, term.modules);
        losses.push(Box::new(term));
    }
    if let Some(term) = &settings.signature_repulsion {
        losses.push(Box::new(SignatureRepulsion::new(
            term.weight,
            term.hinge,
            term.truncation,
            term.reduction,
            term.modules,
        )));
    }
    if let Some(term) = &settings.signature_distribution {
        losses.push(Box::new(SignatureDistribution::new(
            term.weight,
            term.components,
            term.reduction,
            term.modules,
        )));
    }
    losses
}

/// The metrics of a run.
pub fn metrics(config: &ValidConfig, output: &OutputSpec) -> Vec<Box<dyn Metric>> {
    let names = config.training.metrics.iter();
    let metrics: Vec<Box<dyn Metric>> = names.filter_map(|name| by_name(name)).collect();
    if metrics.is_empty() {
        return metrics::defaults(output);
    }
    metrics
}

/// The optimizer of a run.
pub fn optimizer(config: &ValidConfig) -> Box<dyn Optimizer> {
    match config.optimizer.kind {
        OptimizerKind::AdamW => Box::new(AdamW::new(&config.optimizer)),
    }
}

/// Accuracy on `test` of always answering the most frequent class of `train` (the first, if there are several); `None`
/// if answers are not classes.
///
/// # Errors
/// An example cannot be read, or its target is no class.
pub fn majority_accuracy(train: &dyn Dataset, test: &dyn Dataset) -> Result<Option<f64>> {
    let Some(classes) = train.info().output.class_count() else {
        return Ok(None);
    };
    let mut counts = vec![0_usize; classes];
    for index in 0..train.len() {
        if let Some(count) = counts.get_mut(class(train, index)?) {
            *count += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let majority = counts.iter().position(|&count| count == most).unwrap_or(0);
    let mut hits = 0;
    for index in 0..test.len() {
        hits += usize::from(class(test, index)? == majority);
    }
    Ok(Some(hits as f64 / test.len().max(1) as f64))
}

fn class(dataset: &dyn Dataset, index: usize) -> Result<usize> {
    let known = dataset.class(index);
    let class = known.map_or_else(|| Ok(dataset.get(index)?.target.class()), |c| Ok(Some(c)));
    class.and_then(|class: Option<usize>| {
        class.ok_or_else(|| TrainError::Input {
            dataset: dataset.info().name.clone(),
            reason: format!("the target of example {index} is no class"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use nac_data::testing::InMemory;

    #[test]
    fn the_matched_baseline_has_the_circuits_size() {
        let mut config = RunConfig::default();
        let circuit = &mut config.model.circuit;
        (circuit.modules, circuit.state_dim, circuit.propagators) = (16, 48, 2);
        (
            config.model.perceiver_io.depth,
            config.model.perceiver_io.latents,
        ) = (2, 16);
        config.baseline.matching = BaselineMatch::Parameters;
        let info = InMemory::images(4, 1, 8, 8, 3).info_owned();
        let count = |config: &RunConfig| {
            build_model(&config.check().unwrap(), &info, Device::Cpu)
                .unwrap()
                .params()
                .parameter_count()
        };
        let target = count(&config);
        config.model.kind = ModelKind::PerceiverIo;
        let found = count(&config);
        assert!(
            found.abs_diff(target) * 50 < target,
            "{found} against {target}"
        );
        // In operations of a step it is another model, as near to the circuit.
        let step = |kind: ModelKind, matching: BaselineMatch| {
            let mut config = config.clone();
            (config.model.kind, config.baseline.matching) = (kind, matching);
            let file = model_file(&config.check().unwrap(), &info).unwrap();
            let batch = config.training.batch_size * config.training.accumulate;
            let flops = Measure::TrainingFlops { batch }.of(&file.resolve().unwrap());
            (flops, file.model.perceiver_io.latent_dim)
        };
        let (target, _) = step(ModelKind::Nac, BaselineMatch::Flops);
        let (found, width) = step(ModelKind::PerceiverIo, BaselineMatch::Flops);
        assert!(
            found.abs_diff(target) * 50 < target,
            "{found} against {target}"
        );
        let (_, other) = step(ModelKind::PerceiverIo, BaselineMatch::Parameters);
        assert_ne!(width, other);
    }

    #[test]
    fn the_majority_is_that_of_train() {
        // Classes 0, 1, 2, 0, 1: class 0 is the first of the most frequent.
        let train = InMemory::images(5, 1, 1, 1, 3);
        let test = InMemory::images(4, 1, 1, 1, 3).without_known_classes();
        assert_eq!(majority_accuracy(&train, &test).unwrap(), Some(0.5));
        let values = InMemory::regression(4, 2, 2);
        assert_eq!(majority_accuracy(&values, &values).unwrap(), None);
    }

    #[test]
    fn terms_on_signatures_are_for_circuits_only() {
        let classes = OutputSpec::classes(3);
        let mut config = RunConfig::default();
        config.loss.graph_prior = Some(crate::config::GraphPriorConfig::new(
            nac_core::PriorConfig::from_name("complete").unwrap(),
        ));
        config.loss.signature_repulsion = Some(Default::default());
        config.loss.signature_distribution = Some(Default::default());
        assert_eq!(losses(&config.check().unwrap(), &classes).len(), 4);
        config.model.kind = ModelKind::PerceiverIo;
        assert_eq!(losses(&config.check().unwrap(), &classes).len(), 1);
    }
}
