//! Attention over edges against attention over all pairs, in a propagator of the engine.
//!
//! - `propagator`: 10,000 modules of mean degree 32, cut by a truncation. What a run takes more than
//!   on a graph without edges is the attention alone; with what a second propagator without edges adds, it is a step.
//! - `propagator/edges`: the same from 2,500 to 20,000 modules, with exponents of time and peak memory in edges.
//! - `propagator/density`: the density at which both cost the same, which `Connectivity::Auto` goes by.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use nac_core::model::{CircuitConfig, InputSpec, ModelFile, Preset};
use nac_core::{Csr, Streams, cosine_distance};
use nac_engine::{Connectivity, CoreEngine, Engine, EngineOptions, Inputs, Precision};
use ndarray::{Array2, s};

use super::random_signatures;
use crate::memory;
use crate::scaling::Scaling;

const MODULES: usize = 10_000;
const SIZES: [usize; 4] = [2_500, 5_000, 10_000, 20_000];
const DEGREE: f64 = 32.0;

/// Widths of a propagator.
#[derive(Clone, Copy)]
struct Widths {
    name: &'static str,
    state: usize,
    heads: usize,
    head: usize,
    capacity: f64,
}

/// Those of the released circuits.
const CIRCUIT: Widths = Widths {
    name: "state 384, 8 heads of 64",
    state: 384,
    heads: 8,
    head: 64,
    capacity: 4.0,
};
/// Those of the preset `cpu-listops`.
const SMALL: Widths = Widths {
    name: "state 64, 4 heads of 16",
    state: 64,
    heads: 4,
    head: 16,
    capacity: 2.0,
};
/// The heads of the released circuits, and little else.
const HEADS: Widths = Widths {
    name: "state 16, 8 heads of 64",
    state: 16,
    heads: 8,
    head: 64,
    capacity: 1.0,
};

/// What the propagator attends to.
#[derive(Clone, Copy, PartialEq)]
enum AttendsTo {
    Pairs,
    Edges,
    Nothing,
}

/// A circuit that does little else than propagate: few tokens, readers and read-out modules.
fn file(widths: Widths, modules: usize, propagators: usize) -> ModelFile {
    let mut file = Preset::get("cpu-listops").expect("a preset").file;
    file.inputs = InputSpec::tokens(16, 4, 0);
    let mut circuit = CircuitConfig {
        modules,
        read_in_modules: Some(32),
        read_out_modules: 32,
        state_dim: widths.state,
        signature_dim: 64,
        propagators,
        ..CircuitConfig::default()
    };
    circuit.wiring.read_in_states_become_processors = false;
    circuit.wiring.allow_disconnected = true;
    let attention = &mut circuit.propagator.attention;
    (attention.heads, attention.head_dim) = (Some(widths.heads), widths.head);
    circuit.propagator.ffn.capacity_factor = widths.capacity;
    file.model.circuit = circuit;
    file
}

/// The distance that a share of pairs of random signatures is closer than.
fn quantile(modules: usize) -> f64 {
    let signatures = random_signatures("signatures", modules);
    let some = signatures.slice(s![..100, ..]);
    let distances = cosine_distance(some, signatures.view()).expect("finite");
    let mut distances = distances.into_raw_vec_and_offset().0;
    let index = (100.0 * DEGREE) as usize;
    f64::from(*distances.select_nth_unstable_by(index, f32::total_cmp).1)
}

fn engine(file: ModelFile, options: EngineOptions) -> CoreEngine {
    let options = EngineOptions {
        threads: std::env::var("NAC_CORE_BENCH_THREADS")
            .map_or(1, |n| n.parse().expect("a number")),
        ..options
    };
    CoreEngine::random(file, 0, options).expect("a model").0
}

/// Propagators of degree 32.
fn truncated(
    widths: Widths,
    modules: usize,
    propagators: usize,
    attends_to: AttendsTo,
) -> CoreEngine {
    let mut file = file(widths, modules, propagators);
    let kernel = &mut file.model.circuit.propagator.attention.kernel;
    kernel.truncation = Some(quantile(modules));
    let none = || Csr::new(modules, vec![0; modules + 1], Vec::new(), None).expect("a graph");
    let options = EngineOptions {
        connectivity: match attends_to {
            AttendsTo::Pairs => Connectivity::Dense,
            AttendsTo::Edges | AttendsTo::Nothing => Connectivity::Sparse,
        },
        graph: (attends_to == AttendsTo::Nothing).then(|| Arc::new(none())),
        ..EngineOptions::default()
    };
    engine(file, options)
}

fn infer(engine: &CoreEngine) {
    let tokens = Array2::ones((1, 4));
    black_box(
        engine
            .infer(&Inputs::tokens(tokens.view()))
            .expect("tokens"),
    );
}

pub(crate) fn bench(criterion: &mut Criterion) {
    for widths in [CIRCUIT, SMALL, HEADS] {
        compare(criterion, widths);
    }
    scaling(criterion);
    density(criterion);
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group
}

fn compare(criterion: &mut Criterion, widths: Widths) {
    let name = format!("propagator/{}", widths.name);
    let mut group = group(criterion, &name);
    let mut least = |name: &str, propagators: usize, attends_to: AttendsTo| {
        let mut times = Scaling::new("time", "modules");
        let mut loaded = None;
        group.bench_function(name, |b| {
            let engine =
                loaded.get_or_insert_with(|| truncated(widths, MODULES, propagators, attends_to));
            times.time(b, MODULES as f64, || infer(engine));
        });
        times.cost(MODULES as f64)
    };
    let nothing = least("no edges", 1, AttendsTo::Nothing);
    let twice = least("no edges, twice", 2, AttendsTo::Nothing);
    let edges = least("edges", 1, AttendsTo::Edges);
    let pairs = least("pairs", 1, AttendsTo::Pairs);
    group.finish();
    if let (Some(nothing), Some(twice), Some(edges), Some(pairs)) = (nothing, twice, edges, pairs) {
        let ms = |time: f64| 1e3 * time;
        println!("{name}: {MODULES} modules, mean degree {DEGREE}");
        let report = |what: &str, base: f64| {
            let (edges, pairs) = (edges - base, pairs - base);
            let ratio = pairs / edges;
            println!(
                "  {what}: {:.1} ms over pairs, {:.1} ms over edges, {ratio:.1} times",
                ms(pairs),
                ms(edges)
            );
        };
        report("step", 2.0 * nothing - twice);
        report("attention alone", nothing);
    }
}

fn scaling(criterion: &mut Criterion) {
    for widths in [SMALL, CIRCUIT] {
        let name = format!("propagator/edges/{}", widths.name);
        let mut group = group(criterion, &name);
        let mut times = Scaling::new("time", "edges");
        let mut peaks = Scaling::new("peak memory", "edges");
        for modules in SIZES {
            let mut loaded = None;
            group.bench_function(BenchmarkId::from_parameter(modules), |b| {
                let (engine, edges) = loaded.get_or_insert_with(|| {
                    let call = format!("{name}/{modules}");
                    if let Some((edges, bytes)) = memory::peak_of(&call) {
                        let mebibytes = bytes / f64::from(1 << 20);
                        println!("\n{call}: {edges} edges, peak memory {mebibytes:.1} MiB");
                        peaks.add(edges, bytes);
                    }
                    let engine = truncated(widths, modules, 1, AttendsTo::Edges);
                    let edges = edges(&engine);
                    (engine, edges)
                });
                times.time(b, *edges, || infer(engine));
            });
        }
        group.finish();
        println!("{name}:");
        times.report();
        peaks.report();
    }
}

fn edges(engine: &CoreEngine) -> f64 {
    engine.propagator_edges(0).expect("a sparse propagator") as f64
}

/// Measures the memory of the call `name`, `"propagator/edges/<widths>/<modules>"`: loading and running.
pub(crate) fn memory(name: &str) {
    let found = [SMALL, CIRCUIT].into_iter().find_map(|widths| {
        let rest = name.strip_prefix("propagator/edges/")?;
        let modules = rest.strip_prefix(widths.name)?.strip_prefix('/')?;
        Some((widths, modules.parse().ok()?))
    });
    if let Some((widths, modules)) = found {
        memory::answer(|| {
            let engine = truncated(widths, modules, 1, AttendsTo::Edges);
            infer(&engine);
            edges(&engine)
        });
    }
}

/// A graph in which every pair is linked with the same probability.
fn random_graph(modules: usize, density: f64) -> Csr {
    let mut stream = Streams::new(0).stream("graph");
    let (mut offsets, mut columns) = (vec![0], Vec::new());
    for _ in 0..modules {
        columns.extend((0..modules).filter(|_| stream.uniform() < density));
        offsets.push(columns.len());
    }
    Csr::new(modules, offsets, columns, None).expect("a graph")
}

fn density(criterion: &mut Criterion) {
    const DENSITY: f64 = 0.1;
    for (widths, modules) in [
        (CIRCUIT, 320),
        (CIRCUIT, 2_560),
        (SMALL, 320),
        (SMALL, 2_560),
    ] {
        for precision in [Precision::F32, Precision::Bf16] {
            let name = format!("propagator/density/{}/{modules}/{precision:?}", widths.name);
            let mut group = group(criterion, &name);
            let mut least = |name: &str, density: f64, connectivity: Connectivity| {
                let mut times = Scaling::new("time", "modules");
                let mut loaded = None;
                group.bench_function(name, |b| {
                    let engine = loaded.get_or_insert_with(|| {
                        let options = EngineOptions {
                            precision,
                            connectivity,
                            graph: Some(Arc::new(random_graph(modules, density))),
                            ..EngineOptions::default()
                        };
                        engine(file(widths, modules, 1), options)
                    });
                    times.time(b, 1.0, || infer(engine));
                });
                times.cost(1.0)
            };
            let nothing = least("no edges", 0.0, Connectivity::Sparse);
            let edges = least("edges", DENSITY, Connectivity::Sparse);
            let pairs = least("pairs", DENSITY, Connectivity::Dense);
            group.finish();
            if let (Some(nothing), Some(edges), Some(pairs)) = (nothing, edges, pairs) {
                let equal = DENSITY * (pairs - nothing) / (edges - nothing);
                println!("{name}: edges cost as much as pairs at density {equal:.3}");
            }
        }
    }
}
