//! Sampling a sparse graph over many modules straight from their signatures.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use nac_core::{LinkKernel, SelfEdges, SignatureLinks, Streams, hard_sample_from};
use ndarray::Array2;
use serde::Serialize;

use super::{Memory, Seconds, memory};

/// What to sample.
#[derive(Debug, Clone, Args)]
pub struct SampleOptions {
    /// Modules
    #[arg(long)]
    pub modules: usize,
    /// Dimension of signatures
    #[arg(long, default_value_t = 64)]
    pub dim: usize,
    /// Mean degree that the bandwidth is chosen for
    #[arg(long, default_value_t = 32.0)]
    pub degree: f64,
    /// Graphs that are timed, after one that is not
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
}

/// A measurement of sampling.
#[derive(Debug, Clone, Serialize)]
pub struct Sampled {
    /// Modules.
    pub modules: usize,
    /// Edges of the graph.
    pub edges: usize,
    /// Bandwidth `ε`.
    pub bandwidth: f64,
    /// Time of a graph.
    pub seconds: Seconds,
    /// Resident memory; absent where it cannot be known.
    pub memory: Option<Memory>,
}

/// Samples graphs over random signatures, with a bandwidth that makes the mean degree about the one asked for.
///
/// # Errors
/// A setting is out of range.
pub fn sample(options: &SampleOptions) -> Result<Sampled> {
    let begun = Instant::now();
    let (modules, dim) = (options.modules, options.dim);
    let streams = Streams::new(0);
    let mut values = vec![0.0_f32; modules * dim];
    streams.stream("signatures").fill_normal(&mut values);
    let signatures = Array2::from_shape_vec((modules, dim), values)?;
    let bandwidth = bandwidth(modules, dim, options.degree);
    let kernel = LinkKernel::new(bandwidth)?;
    let links = SignatureLinks::new(signatures.view(), signatures.view(), kernel)?;
    let loading = begun.elapsed().as_secs_f64();
    let graph = || {
        let begun = Instant::now();
        let graph = hard_sample_from(&links, streams.child("graph"), SelfEdges::Always);
        graph.map(|graph| (begun.elapsed().as_secs_f64(), graph.edges()))
    };
    let start = memory::Start::now();
    let (first, edges) = graph()?;
    let all: Result<Vec<f64>, _> = (0..options.repeat)
        .map(|_| graph().map(|(seconds, _)| seconds))
        .collect();
    Ok(Sampled {
        modules,
        edges,
        bandwidth,
        memory: start.and_then(memory::Start::end),
        seconds: Seconds::new(loading, first, all?),
    })
}

/// The bandwidth that gives random signatures this mean degree.
///
/// Their cosine distance is about normal with mean 1 and variance `1/dim`, so with `x = 1/ε` the mean of `exp(−x d)` is
/// `exp(−x + x²/(2 dim))`. That is set to `degree/modules`; where it cannot be reached, `x` is the minimum's, `dim`.
fn bandwidth(modules: usize, dim: usize, degree: f64) -> f64 {
    let (dim, log) = (dim as f64, (modules as f64 / degree).max(1.0).ln());
    let root = (1.0 - 2.0 * log / dim).max(0.0).sqrt();
    1.0 / (dim * (1.0 - root)).max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_degree_is_about_the_one_asked_for() {
        let options = SampleOptions {
            modules: 2000,
            dim: 64,
            degree: 32.0,
            repeat: 1,
        };
        let sampled = sample(&options).unwrap();
        let degree = sampled.edges as f64 / 2000.0;
        assert!((24.0..44.0).contains(&degree), "{degree}");
    }
}
