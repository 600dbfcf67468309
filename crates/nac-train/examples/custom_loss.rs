//! A custom loss term: `cargo run -p nac-train --example custom_loss`.
//!
//! Besides cross-entropy, this minimizes the entropy of the link probabilities of a small circuit: each link is
//! drawn towards being there or not. Nothing but the trait [`LossTerm`] is needed.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use nac_data::testing::InMemory;
use nac_data::{Dataset, Loader, LoaderOptions};
use nac_modules::model::{Model, ModelConfig, build_model};
use nac_modules::params::ParamStore;
use nac_train::batch::tensors;
use nac_train::loss::{CrossEntropy, LossContext, LossTerm};
use nac_train::testing::MemoryMetrics;
use nac_train::trainer::Trainer;
use nac_train::{Result, TrainError};
use tch::{Device, Kind, Tensor};

/// Mean entropy of the links, in nats.
struct LinkEntropy {
    weight: f64,
}

impl LossTerm for LinkEntropy {
    fn name(&self) -> &str {
        "link_entropy"
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let graph = context.output.graphs().next();
        let graph = graph.ok_or_else(|| TrainError::Loss {
            name: self.name().into(),
            reason: "the model has no links".into(),
        })?;
        let p = graph.link_probabilities()?.clamp(1e-6, 1.0 - 1e-6);
        let q: Tensor = 1.0 - &p;
        let entropy: Tensor = &p * p.log() + &q * q.log();
        Ok(-entropy.f_mean(Kind::Float)?)
    }
}

/// A circuit of 8 modules for the data set.
fn circuit(data: &dyn Dataset) -> Result<Box<dyn Model>> {
    let mut config = ModelConfig::default();
    (config.circuit.modules, config.circuit.read_out_modules) = (8, 2);
    (
        config.circuit.state_dim,
        config.circuit.signature_dim,
        config.circuit.propagators,
    ) = (16, 8, 1);
    config.circuit.propagator.attention.heads = Some(2);
    config.circuit.propagator.attention.kernel.bandwidth = 0.5;
    let store = ParamStore::new(Device::Cpu, Kind::Float, 1);
    Ok(build_model(
        store,
        &config,
        &data.info().inputs,
        &data.info().output,
    )?)
}

fn main() -> Result<()> {
    let data: Arc<dyn Dataset> = Arc::new(InMemory::tokens(64, 9, 6, 3));
    // Shapes of a batch, as a loss term sees them.
    let loader = Loader::new(
        data.clone(),
        LoaderOptions {
            batch_size: 4,
            ..LoaderOptions::default()
        },
    )?;
    if let Some(batch) = loader.epoch(0, 0).next() {
        let (inputs, targets) = tensors(&batch?, Device::Cpu)?;
        println!(
            "tokens {:?}, targets {:?}",
            inputs.get("tokens")?.size(),
            targets.size()
        );
    }

    let metrics = MemoryMetrics::default();
    let mut trainer = Trainer::builder(circuit(data.as_ref())?, data)
        .loss(CrossEntropy::new(0.0))
        .loss(LinkEntropy { weight: 1.0 })
        .schedule(2e-2)
        .steps(30)
        .batch_size(16)
        .sink(metrics.clone())
        .build()?;
    let _ = trainer.train()?;

    let mut entropies = Vec::new();
    for event in metrics.events() {
        let entropy = event
            .values
            .iter()
            .find(|(name, _)| name == "loss/link_entropy");
        entropies.extend(entropy.map(|(_, value)| *value));
    }
    println!("link entropy over the run: {entropies:.4?}");
    match (entropies.first(), entropies.last()) {
        (Some(first), Some(last)) if last < first => Ok(()),
        _ => Err(TrainError::State(format!(
            "the entropy did not fall: {entropies:?}"
        ))),
    }
}
