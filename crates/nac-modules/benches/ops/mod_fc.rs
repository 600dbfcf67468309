//! A modulated projection, with and without its backward pass.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use nac_core::model::spec::{ProjectionSpec, Surroundings};
use nac_modules::context::ForwardContext;
use nac_modules::layer::{ModFc, ModFcConfig};
use nac_modules::params::ParamStore;
use tch::{Device, Kind};

use super::{MODULES, STATE, random};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut store = ParamStore::new(Device::Cpu, Kind::Float, 0);
    let config = ModFcConfig::default();
    let around = Surroundings::new(STATE, STATE, &config);
    let spec = ProjectionSpec::new(&around, "", (STATE, STATE), true).expect("in range");
    let layer = ModFc::new(&mut store.root(), &spec).expect("sizes fit");
    let (x, codes) = (
        random(&[1, MODULES, STATE as i64]),
        random(&[MODULES, STATE as i64]),
    );
    let run = || {
        let mut ctx = ForwardContext::evaluation();
        layer.forward(&x, &codes, &mut ctx).expect("shapes fit")
    };
    let mut group = criterion.benchmark_group("mod_fc");
    group.sample_size(20);
    // "Elements" are floating-point operations of the product of a forward pass.
    group.throughput(Throughput::Elements(
        2 * MODULES.unsigned_abs() * (STATE * STATE) as u64,
    ));
    group.bench_function("forward", |b| {
        b.iter(|| black_box(tch::no_grad(run)));
    });
    group.bench_function("forward_backward", |b| {
        b.iter(|| run().square().sum(Kind::Float).backward());
    });
    group.finish();
}
