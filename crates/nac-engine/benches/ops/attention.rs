//! Attention of training, forward and backward, and the relaxed samples of links, on one thread.
//!
//! `small` is the ListOps circuit (32 modules, 4 heads of 16), `paper` the released circuits (640 modules, 8 heads of 64),
//! one example each, with a link for each pair, `paper-mixed` in mixed precision; `edges` keeps 32 links for each of the 640. The throughput
//! is in floating-point operations of the matrix products, two of them forward and five backward.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use nac_core::{Csr, Streams};
use nac_engine::training::attention::{
    Attention, AttentionGradients, AttentionOperands, AttentionOutput, AttentionShape, EdgeGraph,
    Links,
};
use nac_engine::training::{Compute, TrainingPrecision, links};

const SMALL: AttentionShape = AttentionShape {
    receivers: 32,
    senders: 32,
    heads: 4,
    head_dim: 16,
};
const PAPER: AttentionShape = AttentionShape {
    receivers: 640,
    senders: 640,
    heads: 8,
    head_dim: 64,
};

pub(crate) fn bench(criterion: &mut Criterion) {
    let (single, mixed) = (TrainingPrecision::F32, TrainingPrecision::Mixed);
    attention(criterion, ("small", single), SMALL, None);
    attention(criterion, ("paper", single), PAPER, None);
    attention(criterion, ("paper-mixed", mixed), PAPER, None);
    attention(criterion, ("edges", single), PAPER, Some(32));
    samples(criterion);
}

fn normal(name: &str, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    Streams::new(0).stream(name).fill_normal(&mut values);
    values
}

fn attention(
    criterion: &mut Criterion,
    (name, precision): (&str, TrainingPrecision),
    shape: AttentionShape,
    degree: Option<usize>,
) {
    let (receivers, senders) = (shape.receivers, shape.senders);
    let compute = Compute::new(1, precision).expect("one thread");
    let [queries, d_out] = ["q", "d"].map(|name| normal(name, receivers * shape.width()));
    let [keys, values] = ["k", "v"].map(|name| normal(name, senders * shape.width()));
    let graph = degree.map(|degree| ring(shape, degree));
    let links = receivers * degree.unwrap_or(senders);
    let log: Vec<f32> = normal("links", links).iter().map(|x| -x.abs()).collect();
    let operands = AttentionOperands {
        queries: &queries,
        keys: &keys,
        values: &values,
        links: match &graph {
            Some(graph) => Links::Edges { graph, log: &log },
            None => Links::PerExample(&log),
        },
        mask: None,
    };
    let mut attention = Attention::new(1, shape);
    let mut out = vec![0.0; queries.len()];
    let mut log_sums = vec![0.0; shape.heads * receivers];
    let product = (2 * links * shape.width()) as u64;
    let mut group = criterion.benchmark_group(format!("training attention/{name}"));
    group.throughput(Throughput::Elements(2 * product));
    group.bench_function("forward", |b| {
        b.iter(|| attention.forward(&compute, black_box(&operands), &mut out, &mut log_sums));
    });
    let [mut d_queries, mut d_keys, mut d_values, mut d_links] =
        [queries.len(), keys.len(), values.len(), log.len()].map(|count| vec![0.0; count]);
    let output = AttentionOutput {
        out: &out,
        log_sums: &log_sums,
    };
    group.throughput(Throughput::Elements(5 * product));
    group.bench_function("backward", |b| {
        b.iter(|| {
            let mut gradients = AttentionGradients {
                queries: &mut d_queries,
                keys: &mut d_keys,
                values: &mut d_values,
                links: Some(&mut d_links),
            };
            let operands = black_box(&operands);
            attention.backward(&compute, operands, &output, &d_out, &mut gradients)
        });
    });
    group.finish();
}

/// Each receiver attends to every `senders/degree`-th sender.
fn ring(shape: AttentionShape, degree: usize) -> EdgeGraph {
    let step = shape.senders / degree;
    let columns = (0..shape.receivers).flat_map(|i| (0..degree).map(move |e| e * step + i % step));
    let offsets = (0..=shape.receivers).map(|i| i * degree).collect();
    let graph = Csr::new(shape.senders, offsets, columns.collect(), None).expect("a graph");
    EdgeGraph::new(&graph).expect("few senders")
}

/// Links of a layer of the small circuit: 64 examples of 32 × 32.
fn samples(criterion: &mut Criterion) {
    let compute = Compute::new(1, TrainingPrecision::F32).expect("one thread");
    let (pairs, count) = (32 * 32, 64 * 32 * 32);
    let logit = normal("logit", pairs);
    let mut stream = Streams::new(0).stream("uniform");
    let uniform: Vec<f32> = (0..count).map(|_| stream.uniform() as f32).collect();
    let (mut out, d_out, mut d_logit) = (vec![0.0; count], normal("d", count), vec![0.0; pairs]);
    let mut group = criterion.benchmark_group("training links");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("relax", |b| {
        b.iter(|| links::relax(&compute, &logit, black_box(&uniform), 0.5, &mut out));
    });
    group.bench_function("gradient", |b| {
        b.iter(|| links::relax_gradient(&compute, &out, black_box(&d_out), 0.5, &mut d_logit));
    });
    group.finish();
}
