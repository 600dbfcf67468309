//! Draws a sparse graph over many modules straight from their signatures, and prints time and memory.
//!
//! Signatures of 64 dimensions are in clusters, and links beyond the truncation are dropped; then random
//! signatures with a small bandwidth and no truncation, where every pair may be linked. Both
//! graphs have a mean degree of about 32, and memory grows with the edges, not with the pairs.
//!
//! Run with `cargo run --release -p nac-core --example large_graph -- 50000`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Instant;

use nac_core::{Csr, LinkKernel, SelfEdges, SignatureLinks, Streams, graph, hard_sample_from};
use ndarray::Array2;

const DIM: usize = 64;
const DEGREE: f64 = 32.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let modules = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 2_000,
    };
    // Members of a cluster are about 0.1 apart and linked with e^(−0.1/0.25) = 0.67; other
    // clusters are about 1 apart.
    let clustered = LinkKernel::new(0.25)?.with_truncation(0.5)?;
    let graph = sample("clusters, truncated", &clusters(modules)?, clustered)?;
    assert!(graph.edges() > modules);
    let random = random(modules)?;
    let kernel = LinkKernel::new(random_bandwidth(modules))?;
    let graph = sample("random, not truncated", &random, kernel)?;
    assert!(graph.edges() > modules);
    Ok(())
}

fn sample(
    name: &str,
    signatures: &Array2<f32>,
    kernel: LinkKernel,
) -> Result<Csr, Box<dyn std::error::Error>> {
    let links = SignatureLinks::new(signatures.view(), signatures.view(), kernel)?;
    let start = Instant::now();
    let sampled = hard_sample_from(&links, Streams::new(0).child("graph"), SelfEdges::Always)?;
    let seconds = start.elapsed().as_secs_f64();
    let pairs = signatures.nrows() as f64 * signatures.nrows() as f64;
    println!(
        "{name}: {} modules, {} edges, mean degree {:.1}, {seconds:.2} s, {:.0} million pairs/s, \
         peak memory {}",
        signatures.nrows(),
        sampled.edges(),
        graph::mean_degree(&sampled),
        pairs / seconds * 1e-6,
        peak_memory().unwrap_or_else(|| "unknown".into()),
    );
    Ok(sampled)
}

/// The bandwidth that links random signatures with a mean degree of 32.
///
/// Their distance is 1 with variance `1/D`, so the mean of `exp(−x·d)` is about
/// `exp(−x + x²/2D)`, which is to be `32/modules`.
fn random_bandwidth(modules: usize) -> f64 {
    let log = (modules as f64 / DEGREE).ln().clamp(0.5, 0.49 * DIM as f64);
    1.0 / (DIM as f64 * (1.0 - (1.0 - 2.0 * log / DIM as f64).sqrt()))
}

/// Standard normal signatures, `[modules, 64]`.
fn random(modules: usize) -> Result<Array2<f32>, ndarray::ShapeError> {
    let mut values = vec![0.0; modules * DIM];
    Streams::new(0)
        .stream("signatures")
        .fill_normal(&mut values);
    Array2::from_shape_vec((modules, DIM), values)
}

/// Clusters of 48 modules around random centres.
fn clusters(modules: usize) -> Result<Array2<f32>, ndarray::ShapeError> {
    let (size, spread) = (48, 1.0 / 3.0);
    let centres = random(modules.div_ceil(size))?;
    let mut values = vec![0.0; modules * DIM];
    Streams::new(0).stream("spread").fill_normal(&mut values);
    let mut out = Array2::from_shape_vec((modules, DIM), values)?;
    for (i, mut row) in out.rows_mut().into_iter().enumerate() {
        row.zip_mut_with(&centres.row(i % centres.nrows()), |x, &centre| {
            *x = centre + spread * *x;
        });
    }
    Ok(out)
}

/// Peak memory of this process, on Linux.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.trim_start_matches("VmHWM:").trim().to_owned())
}
