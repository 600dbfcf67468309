//! A circuit whose signatures depend on the input trains with every term, and goes on bit for bit.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use nac_core::prior::PlantedPartition;
use nac_data::Dataset;
use nac_data::testing::InMemory;
use nac_modules::model::ImageTokenizer;
use nac_modules::prelude::*;
use nac_modules::testing::LinearGenerator;
use nac_modules::tokenizer::ModelTokenizer;
use nac_train::checkpoint::CheckpointStore;
use nac_train::loss::{
    CrossEntropy, GraphPriorLoss, LossTerm, ModuleGroups, Reduction, SignatureDistribution,
    SignatureRepulsion,
};
use nac_train::testing::{MemoryCheckpoints, MemoryMetrics};
use nac_train::trainer::{Interrupt, Outcome, StopSignal, Trainer, TrainerBuilder, TrainerOptions};

fn data() -> Arc<dyn Dataset> {
    Arc::new(InMemory::images(24, 1, 4, 4, 2))
}

/// A circuit on images of 1×4×4 pixels, conditioned on the image itself.
fn model() -> Box<dyn Model> {
    let mut config = CircuitConfig {
        modules: 8,
        read_out_modules: 2,
        state_dim: 16,
        signature_dim: 8,
        propagators: 2,
        ..Default::default()
    };
    config.propagator.attention.heads = Some(2);
    tch::set_num_threads(1); // tests already use all cores
    let model = NeuralCircuit::with_generator(
        ParamStore::cpu(1),
        &config,
        2,
        |scope| {
            let config = ModelConfig {
                image_tokenizer: ImageTokenizer::Pixels,
                ..Default::default()
            };
            Ok(Box::new(ModelTokenizer::new(
                scope,
                &config,
                &data().info().inputs,
            )?))
        },
        |mut scope, spec| {
            let generator = LinearGenerator::new(&mut scope, spec, "image", 16)?;
            Ok(Box::new(generator))
        },
    );
    Box::new(model.unwrap())
}

fn builder(losses: Vec<Box<dyn LossTerm>>) -> TrainerBuilder {
    let options = TrainerOptions {
        seed: 7,
        steps: 12,
        batch_size: 8,
        log_every: 4,
        ..TrainerOptions::default()
    };
    Trainer::builder(model(), data())
        .losses(losses)
        .schedule(1e-2)
        .options(options)
}

fn prior() -> Box<dyn LossTerm> {
    let prior = PlantedPartition {
        clusters: 2,
        ..Default::default()
    };
    Box::new(GraphPriorLoss::new(Box::new(prior), 1.0, 5))
}

fn all_terms() -> Vec<Box<dyn LossTerm>> {
    let (mean, all) = (Reduction::Mean, ModuleGroups::ALL);
    vec![
        Box::new(CrossEntropy::new(0.0)),
        prior(),
        Box::new(SignatureRepulsion::new(0.1, 1.0, None, mean, all)),
        Box::new(SignatureDistribution::new(0.1, 2, mean, all)),
    ]
}

/// Largest change of the generator's weights in a run.
fn change(trainer: &Trainer, name: &str) -> f64 {
    let start = model();
    let name = format!("latent_graphs.0.{name}.weight");
    let (before, after) = (
        start.params().get(&name),
        trainer.model().params().get(&name),
    );
    let difference: Tensor = before.unwrap() - after.unwrap();
    difference.abs().max().double_value(&[])
}

#[test]
fn cross_entropy_and_prior_each_train_the_generator() {
    let mut of_logits = builder(vec![Box::new(CrossEntropy::new(0.0))])
        .build()
        .unwrap();
    let _ = of_logits.train().unwrap();
    assert!(change(&of_logits, "to_signatures") > 1e-3);
    assert!(change(&of_logits, "to_codes") > 1e-3);

    let metrics = MemoryMetrics::default();
    let of_graph = builder(vec![prior()]).sink(metrics.clone());
    let mut of_graph = of_graph.build().unwrap();
    let _ = of_graph.train().unwrap();
    assert!(change(&of_graph, "to_signatures") > 1e-3);
    let values: Vec<f64> = metrics
        .events()
        .iter()
        .flat_map(|event| event.values.clone())
        .filter(|(name, _)| name == "loss/graph_prior")
        .map(|(_, value)| value)
        .collect();
    assert!(
        values.len() == 3 && values[2] < 0.9 * values[0],
        "{values:?}"
    );
}

#[test]
fn a_run_with_all_terms_resumes_bit_for_bit() {
    let whole = MemoryCheckpoints::default();
    let uninterrupted = builder(all_terms()).checkpoints(whole.clone());
    let mut uninterrupted = uninterrupted.build().unwrap();
    assert_eq!(uninterrupted.train().unwrap(), Outcome::Finished);

    let parts = MemoryCheckpoints::default();
    let stop = Interrupt::new();
    stop.raise(StopSignal::Interrupt); // stops after one step
    let first = builder(all_terms()).checkpoints(parts.clone());
    let mut first = first.interrupt(stop).build().unwrap();
    assert_eq!(
        first.train().unwrap(),
        Outcome::Interrupted(StopSignal::Interrupt)
    );
    let second = builder(all_terms()).checkpoints(parts.clone());
    let mut second = second.build().unwrap();
    assert!(second.resume().unwrap());
    assert_eq!(second.train().unwrap(), Outcome::Finished);
    let (one, other) = (
        whole.last().unwrap().unwrap(),
        parts.last().unwrap().unwrap(),
    );
    assert_eq!(one.model, other.model);
    assert_eq!(one.losses, other.losses);
    assert_eq!(one.state.train_curve, other.state.train_curve);
}
