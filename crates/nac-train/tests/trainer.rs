//! The training loop on tiny models: it learns, goes on bit for bit, stops when asked, and refuses what is wrong.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use nac_core::prior::PlantedPartition;
use nac_data::testing::InMemory;
use nac_data::{DataError, Dataset, DatasetInfo, Example};
use nac_modules::model::{Model, ModelConfig, build_model};
use nac_modules::params::ParamStore;
use nac_modules::testing::LinearModel;
use nac_train::TrainError;
use nac_train::checkpoint::{CheckpointStore, FolderStore};
use nac_train::loss::{CrossEntropy, GraphPriorLoss, LossContext, LossTerm};
use nac_train::testing::{ConstantLoss, MemoryCheckpoints, MemoryMetrics};
use nac_train::trainer::{Interrupt, Outcome, Trainer, TrainerOptions};
use tch::{Device, Kind, Tensor};

fn images() -> Arc<dyn Dataset> {
    Arc::new(InMemory::images(36, 1, 8, 8, 3))
}

fn circuit(seed: u64) -> Box<dyn Model> {
    let mut config = ModelConfig::default();
    let circuit = &mut config.circuit;
    (circuit.modules, circuit.read_out_modules, circuit.state_dim) = (8, 4, 16);
    (
        circuit.signature_dim,
        circuit.propagators,
        circuit.drop_path,
    ) = (8, 2, 0.1);
    (
        circuit.propagator.attention.heads,
        circuit.propagator.attention.head_dim,
    ) = (2, 8);
    (config.convnext.dims, config.convnext.depths) = (vec![16], vec![1]);
    config.convnext.layer_scale = 0.1;
    tch::set_num_threads(1); // tests already use all cores
    let store = ParamStore::new(Device::Cpu, Kind::Float, seed);
    build_model(
        store,
        &config,
        &images().info().inputs,
        &images().info().output,
    )
    .unwrap()
}

fn linear() -> Box<dyn Model> {
    Box::new(
        LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 0), "image", 64, 3).unwrap(),
    )
}

fn options(steps: u64) -> TrainerOptions {
    let mut options = TrainerOptions {
        seed: 7,
        steps,
        batch_size: 8,
        log_every: 2,
        ..TrainerOptions::default()
    };
    (
        options.optimizer.learning_rate,
        options.optimizer.warmup_steps,
    ) = (3e-3, 2);
    options
}

fn losses() -> Vec<Box<dyn LossTerm>> {
    let prior = PlantedPartition {
        clusters: 2,
        ..PlantedPartition::default()
    };
    let prior = GraphPriorLoss::new(Box::new(prior), 0.1, 4);
    vec![Box::new(CrossEntropy::new(0.1)), Box::new(prior)]
}

fn weights(trainer: &Trainer) -> BTreeMap<String, Tensor> {
    trainer.model().params().export().unwrap()
}

#[test]
fn a_circuit_learns_one_batch_by_heart() {
    let data: Arc<dyn Dataset> = Arc::new(InMemory::images(8, 1, 8, 8, 3));
    let mut options = options(80);
    options.optimizer.learning_rate = 1e-2;
    let terms: Vec<Box<dyn LossTerm>> = vec![Box::new(CrossEntropy::new(0.0))];
    let mut trainer = Trainer::new(circuit(1), terms, data.clone(), options).unwrap();
    let before = trainer.evaluate(&data).unwrap();
    assert_eq!(trainer.train().unwrap(), Outcome::Finished);
    let after = trainer.evaluate(&data).unwrap();
    assert!(
        before.loss > 0.5 && after.loss < 0.3,
        "{before:?} {after:?}"
    );
    assert_eq!(after.accuracy, 1.0);
}

#[test]
fn a_resumed_run_is_bit_for_bit_the_uninterrupted_one() {
    // 7 steps of 8 of 36 examples: the second part starts inside an epoch, between two logged steps, and with
    // a matching of the graph prior that is not due again.
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| FolderStore::open(&folder.path().join(name), 1).unwrap();
    let trainer = |name: &str, stop: Interrupt, workers| {
        let options = TrainerOptions {
            evaluate_every: 3,
            workers,
            ..options(14)
        };
        Trainer::new(circuit(1), losses(), images(), options)
            .unwrap()
            .with_validation(images())
            .with_checkpoints(store(name))
            .with_interrupt(stop)
    };
    let mut whole = trainer("whole", Interrupt::new(), 1);
    assert_eq!(whole.train().unwrap(), Outcome::Finished);

    let stop = Interrupt::new();
    let mut first = trainer("parts", stop.clone(), 0).with_metrics(StopAfter { step: 7, stop });
    // The stop is raised at the event of a step that is logged; 7 is not, so 8 is the first after it.
    assert_eq!(first.train().unwrap(), Outcome::Interrupted);
    assert_eq!(first.state().step, 8);
    let mut second = trainer("parts", Interrupt::new(), 2);
    assert!(second.resume().unwrap());
    assert_eq!(second.train().unwrap(), Outcome::Finished);

    assert_eq!(weights(&whole), weights(&second));
    assert_ne!(weights(&whole), weights(&first));
    assert_eq!(whole.state().train_curve, second.state().train_curve);
    assert_eq!(
        whole.state().validation_curve,
        second.state().validation_curve
    );
    let (one, other) = (
        store("whole").last().unwrap().unwrap(),
        store("parts").last().unwrap().unwrap(),
    );
    assert_eq!(
        (&one.optimizer, &one.losses),
        (&other.optimizer, &other.losses)
    );
    assert_eq!(one.state.running, other.state.running);
}

/// Raises an interrupt at the first event at or after a step.
struct StopAfter {
    step: u64,
    stop: Interrupt,
}

impl nac_train::metrics::MetricsSink for StopAfter {
    fn record(&mut self, event: &nac_train::metrics::Event) -> nac_train::Result<()> {
        if event.step >= self.step {
            self.stop.raise();
        }
        Ok(())
    }
}

#[test]
fn an_odd_step_resumes_bit_for_bit_too() {
    let whole = MemoryCheckpoints::default();
    let run = |steps: &[u64], store: &MemoryCheckpoints| {
        // The learning rate depends on the planned number of steps, so both parts plan 6.
        for &until in steps {
            let stop = Interrupt::new();
            let mut trainer = Trainer::new(circuit(2), losses(), images(), options(6))
                .unwrap()
                .with_checkpoints(store.clone())
                .with_interrupt(stop.clone());
            trainer.resume().unwrap();
            if until < 6 {
                trainer = trainer.with_interrupt(stop.clone());
                stop.raise(); // stops after one step
            }
            let _ = trainer.train().unwrap();
            assert_eq!(trainer.state().step, until);
        }
    };
    run(&[6], &whole);
    let parts = MemoryCheckpoints::default();
    run(&[1, 2, 3, 6], &parts);
    assert_eq!(parts.steps(), [1, 2, 3, 6]);
    let (one, other) = (
        whole.last().unwrap().unwrap(),
        parts.last().unwrap().unwrap(),
    );
    assert_eq!(one.model, other.model);
    assert_eq!(one.state.train_curve, other.state.train_curve);
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let train = |seed| {
        let mut trainer = Trainer::new(
            circuit(3),
            losses(),
            images(),
            TrainerOptions { seed, ..options(4) },
        )
        .unwrap();
        let _ = trainer.train().unwrap();
        (weights(&trainer), trainer.state().train_curve.clone())
    };
    assert_eq!(train(5), train(5));
    assert_ne!(train(5), train(6));
}

#[test]
fn a_loss_that_is_nan_ends_the_run_and_keeps_the_last_checkpoint() {
    for value in [f64::NAN, f64::INFINITY] {
        let (store, metrics) = (MemoryCheckpoints::default(), MemoryMetrics::default());
        let bad = ConstantLoss::new("odd", value).from_step(5);
        let terms: Vec<Box<dyn LossTerm>> = vec![Box::new(CrossEntropy::new(0.0)), Box::new(bad)];
        let options = TrainerOptions {
            checkpoint_every: 2,
            ..options(10)
        };
        let mut trainer = Trainer::new(linear(), terms, images(), options)
            .unwrap()
            .with_checkpoints(store.clone())
            .with_metrics(metrics.clone());
        let error = trainer.train().unwrap_err().to_string();
        assert!(
            error.starts_with("step 6: loss term \"odd\" is "),
            "{error}"
        );
        assert!(
            error.contains("The last checkpoint is memory, step 4"),
            "{error}"
        );
        assert_eq!(store.steps(), [2, 4]);
        let finite = weights(&trainer)
            .values()
            .all(|t| bool::try_from(t.isfinite().all()).unwrap());
        assert!(finite && trainer.state().step == 5);
        assert_eq!(metrics.events().last().unwrap().step, 4);
    }
}

/// Finite itself, with an infinite gradient.
struct Steep;

impl LossTerm for Steep {
    fn name(&self) -> &str {
        "steep"
    }

    fn compute(&mut self, context: &LossContext<'_>) -> nac_train::Result<Tensor> {
        let logits = &context.output.logits;
        Ok((logits - logits.detach()).abs().sum(Kind::Float).f_sqrt()?)
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let mut trainer = Trainer::new(linear(), vec![Box::new(Steep)], images(), options(2)).unwrap();
    let before = weights(&trainer);
    let error = trainer.train().unwrap_err().to_string();
    assert!(error.starts_with("step 1: the gradient norm is"), "{error}");
    assert!(error.contains("There is no checkpoint yet"), "{error}");
    assert_eq!(before, weights(&trainer));
}

#[test]
fn the_checkpoint_of_another_model_is_refused_with_all_names() {
    let store = MemoryCheckpoints::default();
    let trainer = |model, seed| {
        let terms: Vec<Box<dyn LossTerm>> = vec![Box::new(CrossEntropy::new(0.0))];
        let options = TrainerOptions { seed, ..options(1) };
        Trainer::new(model, terms, images(), options)
            .unwrap()
            .with_checkpoints(store.clone())
    };
    let _ = trainer(circuit(1), 7).train().unwrap();
    let mut other = trainer(linear(), 7);
    let before = weights(&other);
    let error = other.resume().unwrap_err().to_string();
    assert!(
        error.contains("missing (2): head.bias, head.weight"),
        "{error}"
    );
    assert!(
        error.contains("unexpected (") && error.contains("latent_graphs.0.mediator_latents.codes_"),
        "{error}"
    );
    assert_eq!(before, weights(&other));
    let error = trainer(circuit(1), 8).resume().unwrap_err().to_string();
    assert!(error.contains("seed 7 or other settings"), "{error}");
}

/// A data set whose sixth label does not exist.
struct WrongLabel(InMemory);

impl Dataset for WrongLabel {
    fn info(&self) -> &DatasetInfo {
        self.0.info()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        let mut example = self.0.get(index)?;
        if index == 5 {
            example.target = nac_data::Target::Class(3);
        }
        Ok(example)
    }
}

#[test]
fn labels_and_examples_that_cannot_be_used_are_named() {
    let train = |data: Arc<dyn Dataset>| {
        let terms: Vec<Box<dyn LossTerm>> = vec![Box::new(CrossEntropy::new(0.0))];
        Trainer::new(circuit(0), terms, data, options(10))
            .and_then(|mut t| t.train())
            .unwrap_err()
            .to_string()
    };
    let error = train(Arc::new(WrongLabel(InMemory::images(16, 1, 8, 8, 3))));
    assert!(
        error.contains("example 5 has class 3, it must be below 3"),
        "{error}"
    );
    let error = train(Arc::new(InMemory::images(16, 1, 8, 8, 3).failing_at(2)));
    assert!(error.contains("made to fail"), "{error}");
    assert!(train(Arc::new(InMemory::images(0, 1, 8, 8, 3))).contains("0 examples"));
    // The model reads one channel, these pictures have two.
    let error = train(Arc::new(InMemory::images(16, 2, 8, 8, 3)));
    assert!(
        error.contains("image") && error.contains("[8, 2, 8, 8]"),
        "{error}"
    );
}

#[test]
fn events_tell_every_term_and_every_evaluation() {
    let metrics = MemoryMetrics::default();
    let options = TrainerOptions {
        evaluate_every: 4,
        ..options(5)
    };
    let mut trainer = Trainer::new(circuit(1), losses(), images(), options)
        .unwrap()
        .with_validation(images())
        .with_metrics(metrics.clone());
    let _ = trainer.train().unwrap();
    let events: Vec<(&str, u64)> = metrics.events().iter().map(|e| (e.kind, e.step)).collect();
    assert_eq!(
        events,
        [
            ("train", 2),
            ("train", 4),
            ("validation", 4),
            ("train", 5),
            ("validation", 5)
        ]
    );
    let names: Vec<String> = metrics.events()[0]
        .values
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    for name in [
        "loss",
        "loss/cross_entropy",
        "loss/graph_prior",
        "learning_rate",
        "gradient_norm",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    let value = |name: &str| {
        metrics.events()[0]
            .values
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
    };
    let sum = value("loss/cross_entropy") + 0.1 * value("loss/graph_prior");
    assert!((value("loss") - sum).abs() < 1e-9);
}

#[test]
fn losses_need_names_of_their_own() {
    for terms in [
        vec![],
        vec![ConstantLoss::new("a", 0.0), ConstantLoss::new("a", 1.0)],
    ] {
        let terms = terms
            .into_iter()
            .map(|t| Box::new(t) as Box<dyn LossTerm>)
            .collect();
        let error = Trainer::new(linear(), terms, images(), options(1)).unwrap_err();
        assert!(matches!(error, TrainError::Setting { .. }), "{error}");
    }
}
