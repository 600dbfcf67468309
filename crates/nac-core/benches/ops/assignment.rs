//! Assignments of least cost: random costs, and those of a block prior and the scale-free prior
//! against the links of random signatures.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use nac_core::{LinkKernel, PriorConfig, Streams, assign, cosine_distance};
use ndarray::{Array2, Axis};

use super::random_signatures;
use crate::scaling::Scaling;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assignment");
    group.sample_size(20);
    let mut scaling = [
        ("random", Scaling::new("assignment/random", "modules")),
        (
            "planted-partition",
            Scaling::new("assignment/planted-partition", "modules"),
        ),
        (
            "scale-free",
            Scaling::new("assignment/scale-free", "modules"),
        ),
    ];
    for modules in [64_usize, 320, 640] {
        for (name, times) in &mut scaling {
            let costs = match *name {
                "random" => random(modules),
                prior => against_prior(prior, modules),
            };
            group.bench_function(BenchmarkId::new(*name, modules), |b| {
                times.time(b, modules as f64, || {
                    black_box(assign(costs.view()).expect("finite"));
                });
            });
        }
    }
    group.finish();
    scaling.iter().for_each(|(_, times)| times.report());
}

fn random(modules: usize) -> Array2<f64> {
    let mut stream = Streams::new(0).stream("costs");
    Array2::from_shape_simple_fn((modules, modules), || stream.uniform())
}

/// `mean_k (G[t, k] − P[i, k])²`.
fn against_prior(prior: &str, modules: usize) -> Array2<f64> {
    let signatures = random_signatures("signatures", modules).mapv(f64::from);
    let distance = cosine_distance(signatures.view(), signatures.view()).expect("finite");
    let links = LinkKernel::default()
        .link_probability(distance.view())
        .expect("finite");
    let prior = PriorConfig::from_name(prior).expect("a prior").build();
    let graphon = prior.link_probabilities(modules).expect("enough modules");
    let squares = |x: &Array2<f64>| x.mapv(|x| x * x).sum_axis(Axis(1));
    let (g, p) = (squares(&graphon).insert_axis(Axis(1)), squares(&links));
    (g + p - 2.0 * graphon.dot(&links.t())) / modules as f64
}
