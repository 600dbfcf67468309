//! A propagator of nac-engine over the edges of a sparse graph, or over all pairs of modules.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nac_core::model::{CircuitConfig, InputSpec, ModelConfig, ModelFile, OutputSpec, StateMean};
use nac_core::{Csr, Streams, cosine_distance};
use nac_engine::{Connectivity, CoreEngine, Engine, EngineOptions, Inputs};
use ndarray::{Array2, s};
use serde::Serialize;

use super::{Memory, Seconds, memory};

/// Modules sampled to find the truncation distance.
const SAMPLED: usize = 100;
/// Length of the sequences that the circuit reads, which costs next to nothing.
const LENGTH: usize = 4;

/// What attention goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The edges of the graph.
    Edges,
    /// All pairs, those without an edge masked.
    Pairs,
    /// A graph without edges: what a pass takes more than on it is attention alone.
    Nothing,
}

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct PropagatorOptions {
    /// Modules
    #[arg(long)]
    pub modules: usize,
    /// Mean degree after truncation
    #[arg(long, default_value_t = 32)]
    pub degree: usize,
    /// What attention goes over
    #[arg(long, value_enum)]
    pub over: Over,
    /// Threads; all cores if not given
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Passes that are timed, after one that is not
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
}

/// A measurement of a propagator.
#[derive(Debug, Clone, Serialize)]
pub struct Propagated {
    /// Modules.
    pub modules: usize,
    /// What attention went over.
    pub over: Over,
    /// Edges of the graph, where it is one of edges.
    pub edges: Option<usize>,
    /// Time of a pass.
    pub seconds: Seconds,
    /// Resident memory, with the engine's own; absent where it cannot be known.
    pub memory: Option<Memory>,
}

/// Measures a circuit of one propagator of the released width (states of 384, 8 heads of 64) that reads 4 tokens with few
/// modules and is read by few.
///
/// # Errors
/// A setting is out of range.
pub fn propagate(options: &PropagatorOptions) -> Result<Propagated> {
    let file = circuit(options)?;
    let start = memory::Start::now();
    let begun = Instant::now();
    let settings = EngineOptions {
        threads: options.threads,
        connectivity: match options.over {
            Over::Edges | Over::Nothing => Connectivity::Sparse,
            Over::Pairs => Connectivity::Dense,
        },
        graph: match options.over {
            Over::Nothing => Some(Arc::new(no_edges(options.modules)?)),
            Over::Edges | Over::Pairs => None,
        },
        ..EngineOptions::default()
    };
    let (engine, _) = CoreEngine::random(file, 0, settings)?;
    let loading = begun.elapsed().as_secs_f64();
    let tokens = Array2::ones((1, LENGTH));
    let pass = || -> Result<f64> {
        let begun = Instant::now();
        engine.infer(&Inputs::tokens(tokens.view()))?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let first = pass()?;
    let all: Result<Vec<f64>> = (0..options.repeat).map(|_| pass()).collect();
    Ok(Propagated {
        modules: options.modules,
        over: options.over,
        edges: engine.propagator_edges(0),
        memory: start.and_then(memory::Start::end),
        seconds: Seconds::new(loading, first, all?),
    })
}

/// A circuit that does little else than propagate once.
fn circuit(options: &PropagatorOptions) -> Result<ModelFile> {
    let mut circuit = CircuitConfig {
        modules: options.modules,
        read_in_modules: Some(32),
        read_out_modules: 32,
        code_dim: Some(32),
        propagators: 1,
        ..CircuitConfig::default()
    };
    circuit.seeder.mean = StateMean::Learned;
    circuit.wiring.read_in_states_become_processors = false;
    circuit.wiring.allow_disconnected = true;
    let distance = cut(options.modules, circuit.signature_dim, options.degree)?;
    circuit.propagator.attention.kernel.truncation = Some(distance);
    Ok(ModelFile {
        output: OutputSpec::classes(10),
        preprocessing: Default::default(),
        inputs: InputSpec::tokens(16, LENGTH, 0),
        model: ModelConfig {
            circuit,
            ..ModelConfig::default()
        },
    })
}

fn no_edges(modules: usize) -> Result<Csr> {
    Ok(Csr::new(modules, vec![0; modules + 1], Vec::new(), None)?)
}

/// The distance within which a module with a random signature has `degree` others, by a sample.
fn cut(modules: usize, dim: usize, degree: usize) -> Result<f64> {
    let mut values = vec![0.0_f32; modules * dim];
    Streams::new(0)
        .stream("signatures")
        .fill_normal(&mut values);
    let signatures = Array2::from_shape_vec((modules, dim), values)?;
    let some = signatures.slice(s![..SAMPLED.min(modules), ..]);
    let distances = cosine_distance(some, signatures.view())?;
    let sampled = distances.nrows();
    let mut distances = distances.into_raw_vec_and_offset().0;
    distances.sort_by(f32::total_cmp);
    let distance = distances.get(sampled * degree);
    Ok(f64::from(*distance.context(
        "the degree is larger than the number of modules",
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_as_many_as_asked_for_and_pairs_are_no_edges() {
        let mut options = PropagatorOptions {
            modules: 400,
            degree: 16,
            over: Over::Edges,
            threads: 1,
            repeat: 1,
        };
        let edges = propagate(&options).unwrap().edges.unwrap();
        assert!((12 * 400..22 * 400).contains(&edges), "{edges}");
        options.over = Over::Pairs;
        assert_eq!(propagate(&options).unwrap().edges, None);
        options.over = Over::Nothing;
        assert_eq!(propagate(&options).unwrap().edges, Some(0));
        options.degree = 500;
        assert!(propagate(&options).is_err());
    }
}
