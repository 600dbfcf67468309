//! The training loop on tiny models: it learns, goes on bit for bit, stops when asked, and refuses what is wrong.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use nac_core::prior::PlantedPartition;
use nac_data::testing::InMemory;
use nac_data::{DataError, Dataset, DatasetInfo, Example, Loader, LoaderOptions};
use nac_modules::model::{Model, ModelConfig, build_model};
use nac_modules::params::ParamStore;
use nac_modules::testing::LinearModel;
use nac_train::TrainError;
use nac_train::checkpoint::{CheckpointStore, FolderStore};
use nac_train::config::Executor;
use nac_train::loss::{CrossEntropy, GraphPriorLoss, LossContext, LossTerm};
use nac_train::metrics::{Accuracy, MeanAbsoluteError, RSquared, TopK};
use nac_train::optim::{Frozen, WarmupCosine};
use nac_train::testing::{
    ConstantLoss, MemoryCheckpoints, MemoryMetrics, MemoryRenderer, RecordingOptimizer,
};
use nac_train::trainer::{
    Interrupt, Outcome, StepReport, StopSignal, Trainer, TrainerBuilder, TrainerOptions,
};
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
    ) = (Some(2), 8);
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
    TrainerOptions {
        seed: 7,
        steps,
        batch_size: 8,
        log_every: 2,
        ..TrainerOptions::default()
    }
}

fn builder(
    model: Box<dyn Model>,
    data: Arc<dyn Dataset>,
    options: TrainerOptions,
) -> TrainerBuilder {
    let schedule = WarmupCosine {
        top: 3e-3,
        warmup_steps: 2,
        ..WarmupCosine::default()
    };
    Trainer::builder(model, data)
        .options(options)
        .schedule(schedule)
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
    let schedule = WarmupCosine {
        top: 1e-2,
        warmup_steps: 2,
        ..WarmupCosine::default()
    };
    let mut trainer = builder(circuit(1), data.clone(), options(80))
        .schedule(schedule)
        .build()
        .unwrap();
    let before = trainer.evaluate(&data).unwrap();
    assert_eq!(trainer.train().unwrap(), Outcome::Finished);
    let after = trainer.evaluate(&data).unwrap();
    assert!(
        before.loss > 0.5 && after.loss < 0.3,
        "{before:?} {after:?}"
    );
    assert_eq!(after.metric("accuracy"), Some(1.0));
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
        builder(circuit(1), images(), options)
            .losses(losses())
            .validation(images())
            .checkpoints(store(name))
            .interrupt(stop)
    };
    let mut whole = trainer("whole", Interrupt::new(), 1).build().unwrap();
    assert_eq!(whole.train().unwrap(), Outcome::Finished);

    let stop = Interrupt::new();
    let first = trainer("parts", stop.clone(), 0).sink(StopAfter { step: 7, stop });
    let mut first = first.build().unwrap();
    // The stop is raised at the event of a step that is logged; 7 is not, so 8 is the first after it.
    assert_eq!(
        first.train().unwrap(),
        Outcome::Interrupted(StopSignal::Interrupt)
    );
    assert_eq!(first.state().step, 8);
    let mut second = trainer("parts", Interrupt::new(), 2).build().unwrap();
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
            self.stop.raise(StopSignal::Interrupt);
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
            let mut trainer = builder(circuit(2), images(), options(6))
                .losses(losses())
                .checkpoints(store.clone())
                .interrupt(stop.clone())
                .build()
                .unwrap();
            trainer.resume().unwrap();
            if until < 6 {
                stop.raise(StopSignal::Interrupt); // stops after one step
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
        let options = TrainerOptions { seed, ..options(4) };
        let mut trainer = builder(circuit(3), images(), options)
            .losses(losses())
            .build()
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
        let options = TrainerOptions {
            checkpoint_every: 2,
            ..options(10)
        };
        let mut trainer = builder(linear(), images(), options)
            .loss(CrossEntropy::new(0.0))
            .loss(bad)
            .checkpoints(store.clone())
            .sink(metrics.clone())
            .build()
            .unwrap();
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
    let trainer = builder(linear(), images(), options(2)).loss(Steep);
    let mut trainer = trainer.build().unwrap();
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
        let options = TrainerOptions { seed, ..options(1) };
        builder(model, images(), options)
            .checkpoints(store.clone())
            .build()
            .unwrap()
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
    assert!(error.contains("seed (7 → 8)"), "{error}");
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
        builder(circuit(0), data, options(10))
            .build()
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
    assert!(train(Arc::new(InMemory::images(0, 1, 8, 8, 3))).contains("training examples = 0"));
    // The model reads one channel, these images have two.
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
    let mut trainer = builder(circuit(1), images(), options)
        .losses(losses())
        .validation(images())
        .sink(metrics.clone())
        .build()
        .unwrap();
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
fn terms_and_metrics_need_distinct_names() {
    let constant = |value| ConstantLoss::new("a", value);
    let terms = builder(linear(), images(), options(1))
        .loss(constant(0.0))
        .loss(constant(1.0));
    let metrics = builder(linear(), images(), options(1))
        .metric(Accuracy)
        .metric(Accuracy);
    for wrong in [terms, metrics] {
        let error = wrong.build().unwrap_err();
        assert!(matches!(error, TrainError::Setting { .. }), "{error}");
    }
}

/// A run of 6 steps without noise, each on `accumulate` batches.
fn accumulated(batch_size: usize, accumulate: usize) -> TrainerBuilder {
    let options = TrainerOptions {
        batch_size,
        accumulate,
        ..options(6)
    };
    builder(linear(), images(), options)
        .loss(CrossEntropy::new(0.1))
        .loss(WeightDecay)
        .metric(Accuracy)
        .metric(TopK::new(2))
}

/// A term that does not depend on the batch.
struct WeightDecay;

impl LossTerm for WeightDecay {
    fn name(&self) -> &str {
        "weight_decay"
    }

    fn compute(&mut self, context: &LossContext<'_>) -> nac_train::Result<Tensor> {
        let squares = context.model.params().parameters();
        let squares: Vec<Tensor> = squares.map(|(_, t)| t.square().sum(Kind::Float)).collect();
        Ok(Tensor::f_stack(&squares, 0)?.f_sum(Kind::Float)?)
    }
}

#[test]
fn several_small_batches_are_one_big_batch_up_to_rounding() {
    let mut big = accumulated(12, 1).build().unwrap();
    let mut small = accumulated(3, 4).build().unwrap();
    let start = weights(&big);
    let _ = (big.train().unwrap(), small.train().unwrap());
    for (name, one) in weights(&big) {
        let other = &weights(&small)[&name];
        let error = f64::try_from((&one - other).abs().max()).unwrap();
        let change = f64::try_from((&one - &start[&name]).abs().max()).unwrap();
        assert!(error < 1e-6 && change > 1e-4, "{name}: {error}, {change}");
    }
    let (one, other) = (big.state(), small.state());
    assert_eq!((one.step, one.examples), (other.step, other.examples));
    for (one, other) in one.train_curve.iter().zip(&other.train_curve) {
        let error = (one.loss - other.loss).abs() / one.loss;
        assert!(error < 1e-5, "{one:?}, {other:?}");
        assert_eq!(one.metrics, other.metrics);
    }
}

#[test]
fn accumulated_steps_resume_bit_for_bit_and_draw_other_noise_for_each_batch() {
    let run = |stops: &[u64]| {
        let store = MemoryCheckpoints::default();
        for &until in stops {
            let options = TrainerOptions {
                accumulate: 3,
                ..options(4)
            };
            let stop = Interrupt::new();
            let mut trainer = builder(circuit(2), images(), options)
                .losses(losses())
                .checkpoints(store.clone())
                .interrupt(stop.clone())
                .build()
                .unwrap();
            trainer.resume().unwrap();
            if until < 4 {
                stop.raise(StopSignal::Interrupt);
            }
            let _ = trainer.train().unwrap();
            assert_eq!(trainer.state().step, until);
        }
        store.last().unwrap().unwrap()
    };
    let (whole, parts) = (run(&[4]), run(&[1, 2, 4]));
    assert_eq!(whole.model, parts.model);
    assert_eq!(whole.state.train_curve, parts.state.train_curve);

    let loader = Loader::new(images(), LoaderOptions::default()).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    let mut trainer = builder(circuit(2), images(), options(1)).build().unwrap();
    let one = trainer.gradients(&batch).unwrap();
    let other = trainer.gradients(&batch).unwrap();
    assert_ne!(one.loss, other.loss);
    let _ = trainer.update(one).unwrap();
    let norm = |report: &StepReport| report.gradient_norm;
    assert!(norm(&trainer.update(other).unwrap()) > 0.0);
}

#[test]
fn optimizer_schedule_and_renderer_can_be_replaced() {
    let (optimizer, screen) = (RecordingOptimizer::default(), MemoryRenderer::default());
    let mut trainer = builder(linear(), images(), options(3))
        .optimizer(optimizer.clone())
        .schedule(0.25)
        .validation(images())
        .renderer(screen.clone())
        .build()
        .unwrap();
    let before = weights(&trainer);
    let _ = trainer.train().unwrap();
    assert_eq!(before, weights(&trainer));
    assert_eq!(optimizer.steps().len(), 3);
    assert!(
        optimizer
            .steps()
            .iter()
            .all(|&(norm, rate)| norm > 0.0 && rate == 0.25)
    );
    let lines = screen.lines();
    let starts = [
        "start 0/3",
        "step 1/3 loss ",
        "step 2/3 loss ",
        "step 3/3 loss ",
    ];
    let ends = ["step 3: validation loss ", "finish"];
    for (line, start) in lines.iter().zip(starts.iter().chain(&ends)) {
        assert!(line.starts_with(start), "{line}, not {start}");
    }
    assert_eq!(lines.len(), 6);
}

#[test]
fn the_checkpoint_of_another_optimizer_is_refused() {
    let store = MemoryCheckpoints::default();
    let trainer = || builder(linear(), images(), options(1)).checkpoints(store.clone());
    let _ = trainer().build().unwrap().train().unwrap();
    let mut other = trainer().optimizer(Frozen).build().unwrap();
    let error = other.resume().unwrap_err().to_string();
    assert!(
        error.contains("optimizer adamw, this one has frozen"),
        "{error}"
    );
}

#[test]
fn real_valued_targets_are_learned_and_measured() {
    let data: Arc<dyn Dataset> = Arc::new(InMemory::regression(64, 3, 2));
    let store = ParamStore::new(Device::Cpu, Kind::Float, 0);
    let model = LinearModel::new(store, "features", 6, 2).unwrap();
    let mut trainer = builder(Box::new(model), data.clone(), options(200))
        .metric(RSquared)
        .metric(MeanAbsoluteError)
        .schedule(0.02)
        .build()
        .unwrap();
    let before = trainer.evaluate(&data).unwrap();
    let _ = trainer.train().unwrap();
    let after = trainer.evaluate(&data).unwrap();
    assert!(after.loss < 0.5 * before.loss, "{before:?}, {after:?}");
    for (name, better) in [("r2", 1.0), ("mae", -1.0)] {
        let change = after.metric(name).unwrap() - before.metric(name).unwrap();
        assert!(change * better > 0.0, "{name}: {before:?}, {after:?}");
    }
}

#[test]
fn only_the_trained_change_and_their_gradients_are_those_of_training_all() {
    let trained = ["*.codes_", "*.signatures_", "output_tokenizer.*"];
    let is_trained = |name: &str| {
        name.ends_with("codes_")
            || name.ends_with("signatures_")
            || name.starts_with("output_tokenizer.")
    };
    for executor in [Executor::Fused, Executor::Torch] {
        let trainer = |trained: &[&str]| {
            let options = TrainerOptions {
                trained: trained.iter().map(ToString::to_string).collect(),
                executor,
                ..options(4)
            };
            builder(circuit(3), images(), options).build().unwrap()
        };
        let (mut some, mut all) = (trainer(&trained), trainer(&["*"]));
        let batch = Loader::new(images(), LoaderOptions::default()).unwrap();
        let batch = batch.epoch(0, 0).next().unwrap().unwrap();
        let (ours, theirs) = (
            some.gradients(&batch).unwrap(),
            all.gradients(&batch).unwrap(),
        );
        let names: Vec<String> = weights(&all).into_keys().collect();
        let parameters = some.model().params().parameters();
        let mut compared = 0;
        for ((name, _), (ours, theirs)) in parameters.zip(ours.tensors.iter().zip(&theirs.tensors))
        {
            assert_eq!(
                ours.defined(),
                is_trained(name) && theirs.defined(),
                "{name}"
            );
            if ours.defined() {
                assert_eq!(ours, theirs, "{name}");
                compared += 1;
            }
        }
        assert!(compared >= 6, "{compared} of {}", names.len());

        let before = weights(&some);
        some.train().unwrap();
        for (name, after) in weights(&some) {
            assert_eq!(
                after == before[&name],
                !is_trained(&name) || name.contains("input_latents.signatures_"),
                "{name}"
            );
        }
        let notes = some.state().without_gradient.clone().unwrap();
        assert!(notes.iter().all(|name| is_trained(name)), "{notes:?}");
    }
    let options = TrainerOptions {
        trained: vec!["latents".into()],
        ..options(4)
    };
    let error = builder(circuit(3), images(), options).build().unwrap_err();
    assert!(error.to_string().contains("\"latents\""), "{error}");
}
