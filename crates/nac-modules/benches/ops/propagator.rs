//! A propagator (SKMDPA and ModFFN): evaluation, and a training pass with libtorch's graph and with the tape.

use std::hint::black_box;

use criterion::Criterion;
use nac_core::Streams;
use nac_core::model::spec::Surroundings;
use nac_modules::circuit::{ModuleStates, Propagator, PropagatorConfig};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::layer::ModFcConfig;
use nac_modules::params::ParamStore;
use nac_modules::tape::Tape;
use tch::{Device, Kind, Tensor};

use super::{MODULES, STATE, random};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut store = ParamStore::new(Device::Cpu, Kind::Float, 0);
    let (config, mod_fc) = (PropagatorConfig::default(), ModFcConfig::default());
    let spec = config.resolve(&Surroundings::new(STATE, STATE, &mod_fc));
    let layer = Propagator::new(&mut store.root(), &spec.expect("in range")).expect("sizes fit");
    let states = random(&[1, MODULES, STATE as i64]).set_requires_grad(true);
    let (signatures, codes) = (random(&[MODULES, 64]), random(&[MODULES, STATE as i64]));
    let modules = ModuleStates {
        shared_states: None,
        states: &states,
        signatures: &signatures,
        codes: &codes,
    };
    let parameters: Vec<&Tensor> = store.parameters().map(|(_, tensor)| tensor).collect();
    let mut group = criterion.benchmark_group("propagator");
    group.sample_size(10);
    group.bench_function("forward", |b| {
        b.iter(|| {
            let mut ctx = ForwardContext::evaluation();
            let states = tch::no_grad(|| layer.forward(&modules, &modules, &mut ctx));
            black_box(states.expect("shapes fit"))
        });
    });
    for with_tape in [false, true] {
        let name = if with_tape { "tape" } else { "graph" };
        group.bench_function(format!("forward_backward/{name}"), |b| {
            b.iter(|| {
                let mut noise = StreamNoise::new(Streams::new(0));
                let mut tape = Tape::new();
                let mut ctx = ForwardContext::training(&mut noise);
                if with_tape {
                    ctx = ctx.with_tape(&mut tape);
                }
                let states = layer.forward(&modules, &modules, &mut ctx);
                drop(ctx);
                let loss = states.expect("shapes fit").square().sum(Kind::Float);
                black_box(tape.backward(&loss, &parameters).expect("leaves"))
            });
        });
    }
    group.finish();
}
