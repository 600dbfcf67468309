//! A custom circuit generator: `cargo run -p nac-train --example custom_generator`.
//!
//! The graph between the modules depends on the sequence: each symbol moves the signatures of the processors by a
//! learned vector. The circuit is part of the model's output, so cross-entropy and a graph prior (on the mean graph of
//! the batch) train the generator together. All it takes is the trait `CircuitGenerator`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use nac_core::model::spec::GeneratorSpec;
use nac_core::prior::PlantedPartition;
use nac_data::Dataset;
use nac_data::testing::InMemory;
use nac_modules::generator::FreeGenerator;
use nac_modules::layer::Linear;
use nac_modules::prelude::*;
use nac_modules::tokenizer::ModelTokenizer;
use nac_train::loss::{CrossEntropy, GraphPriorLoss};
use nac_train::testing::MemoryMetrics;
use nac_train::trainer::Trainer;

const VOCABULARY: i64 = 9;

/// Codes, and signatures before they are moved, are free parameters; `shift` moves the signatures.
struct BagOfSymbols {
    free: FreeGenerator,
    shift: Linear,
}

impl BagOfSymbols {
    fn new(scope: &mut Scope<'_>, spec: &GeneratorSpec) -> nac_modules::Result<Self> {
        let numbers = spec.processors.modules * spec.processors.signature_dim;
        let free = FreeGenerator::new(scope, spec)?;
        let mut scope = scope.sub(&spec.path);
        Ok(Self {
            shift: Linear::new(scope.sub("shift"), VOCABULARY as usize, numbers, false)?,
            free,
        })
    }
}

impl CircuitGenerator for BagOfSymbols {
    fn generate(
        &self,
        inputs: &Inputs,
        ctx: &mut ForwardContext<'_>,
    ) -> nac_modules::Result<Circuit> {
        let mut circuit = self.free.generate(inputs, ctx)?;
        let signatures = &mut circuit.processors.signatures; // [modules, signature]
        let symbols = inputs.get("tokens")?.f_one_hot(VOCABULARY)?; // [batch, length, vocabulary]
        let shares = symbols.f_mean_dim([1_i64].as_slice(), false, signatures.kind())?;
        let (modules, dim) = signatures.size2()?;
        let shift = self.shift.forward(&shares)?.f_view([-1, modules, dim])?;
        *signatures = signatures.f_add(&shift)?; // [batch, modules, signature]
        Ok(circuit)
    }
}

fn model(inputs: &InputSpec) -> nac_modules::Result<NeuralCircuit> {
    let mut config = CircuitConfig {
        modules: 8,
        read_out_modules: 2,
        state_dim: 16,
        signature_dim: 8,
        propagators: 1,
        ..Default::default()
    };
    config.propagator.attention.heads = Some(2);
    config.propagator.attention.kernel.bandwidth = 0.5;
    NeuralCircuit::with_generator(
        ParamStore::cpu(1),
        &config,
        3,
        |scope| {
            let config = ModelConfig::default();
            Ok(Box::new(ModelTokenizer::new(scope, &config, inputs)?))
        },
        |mut scope, spec| Ok(Box::new(BagOfSymbols::new(&mut scope, spec)?)),
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = Arc::new(InMemory::tokens(64, VOCABULARY as usize, 6, 3));
    let prior = PlantedPartition {
        clusters: 2,
        ..Default::default()
    };
    let metrics = MemoryMetrics::default();
    let model = model(&data.info().inputs)?;
    let mut trainer = Trainer::builder(Box::new(model), data)
        .loss(CrossEntropy::new(0.0))
        .loss(GraphPriorLoss::new(Box::new(prior), 1.0, 1))
        .schedule(1e-2)
        .steps(40)
        .batch_size(16)
        .sink(metrics.clone())
        .build()?;
    let _ = trainer.train()?;

    for term in ["loss/cross_entropy", "loss/graph_prior"] {
        let events = metrics.events();
        let values = events.iter().flat_map(|event| &event.values);
        let values: Vec<f64> = values
            .filter(|(name, _)| name == term)
            .map(|(_, v)| *v)
            .collect();
        println!("{term} over the run: {values:.4?}");
        if values.last() >= values.first() {
            return Err(format!("{term} did not fall").into());
        }
    }
    let tokens = Tensor::from_slice(&[1_i64, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8]).view([2, 6]);
    let output = trainer.model().predict(&Inputs::tokens(tokens))?;
    let graph = output.graphs().next().ok_or("a circuit has a graph")?;
    println!(
        "links {:?}, one graph per example",
        graph.link_probabilities()?.size()
    );
    Ok(())
}
