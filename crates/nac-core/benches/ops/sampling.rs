//! Sparse graphs of mean degree 32 straight from signatures, in pairs per second; exponents of time
//! and peak memory in edges.
//!
//! `clusters`: signatures around centres, links beyond the truncation are dropped. `random`: random
//! signatures and a small bandwidth, every pair may be linked.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use nac_core::{Csr, LinkKernel, SelfEdges, SignatureLinks, Streams, hard_sample_from};
use ndarray::Array2;

use super::{DIM, random_signatures};
use crate::memory;
use crate::scaling::Scaling;

const SIZES: [usize; 4] = [1_000, 5_000, 20_000, 50_000];
const DEGREE: f64 = 32.0;

#[derive(Clone, Copy)]
enum Signatures {
    Clusters,
    Random,
}

impl Signatures {
    const ALL: [Self; 2] = [Self::Clusters, Self::Random];

    fn name(self) -> &'static str {
        match self {
            Self::Clusters => "sampling/clusters",
            Self::Random => "sampling/random",
        }
    }

    fn links(self, modules: usize) -> SignatureLinks<f32> {
        let (signatures, kernel) = match self {
            Self::Clusters => {
                let kernel = LinkKernel::new(0.25).and_then(|kernel| kernel.with_truncation(0.5));
                (clusters(modules), kernel)
            }
            Self::Random => {
                let kernel = LinkKernel::new(random_bandwidth(modules));
                (random_signatures("signatures", modules), kernel)
            }
        };
        let kernel = kernel.expect("in range");
        SignatureLinks::new(signatures.view(), signatures.view(), kernel).expect("finite")
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    for signatures in Signatures::ALL {
        let name = signatures.name();
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        let mut times = Scaling::new("time", "edges");
        let mut peaks = Scaling::new("peak memory", "edges");
        for modules in SIZES {
            let links = signatures.links(modules);
            let mut edges = None;
            group.throughput(Throughput::Elements((modules * modules) as u64));
            group.bench_function(BenchmarkId::from_parameter(modules), |b| {
                let edges = *edges.get_or_insert_with(|| {
                    let call = format!("{name}/{modules}");
                    if let Some((edges, bytes)) = memory::peak_of(&call) {
                        let mebibytes = bytes / f64::from(1 << 20);
                        println!("\n{call}: {edges} edges, peak memory {mebibytes:.1} MiB");
                        peaks.add(edges, bytes);
                    }
                    sample(&links).edges() as f64
                });
                times.time(b, edges, || {
                    black_box(sample(&links));
                });
            });
        }
        group.finish();
        println!("{name}:");
        times.report();
        peaks.report();
    }
}

/// Measures the memory of the call `name`, `"<name of the signatures>/<modules>"`.
pub(crate) fn memory(name: &str) {
    let found = Signatures::ALL.into_iter().find_map(|signatures| {
        let modules = name.strip_prefix(signatures.name())?.strip_prefix('/')?;
        Some(signatures.links(modules.parse().ok()?))
    });
    if let Some(links) = found {
        memory::answer(|| sample(&links).edges() as f64);
    }
}

/// The graph of seed 0.
fn sample(links: &SignatureLinks<f32>) -> Csr {
    hard_sample_from(links, Streams::new(0), SelfEdges::Always).expect("square")
}

/// Clusters of 48 modules, about 0.1 apart; other clusters are about 1 apart.
fn clusters(modules: usize) -> Array2<f32> {
    let centres = random_signatures("centres", modules.div_ceil(48));
    let mut out = random_signatures("signatures", modules);
    for (i, mut row) in out.rows_mut().into_iter().enumerate() {
        let centre = centres.row(i % centres.nrows());
        row.zip_mut_with(&centre, |x, &centre| *x = centre + *x / 3.0);
    }
    out
}

/// The bandwidth that gives random signatures a mean degree of 32.
///
/// Their distance is 1 with variance `1/D`, so the mean of `exp(−x·d)` is about
/// `exp(−x + x²/2D)`, which is to be `32/modules`.
fn random_bandwidth(modules: usize) -> f64 {
    let (log, dim) = ((modules as f64 / DEGREE).ln(), DIM as f64);
    1.0 / (dim * (1.0 - (1.0 - 2.0 * log / dim).sqrt()))
}
