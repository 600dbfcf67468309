//! One step of the graph-prior term, value and gradient, against a transcription of the authors'
//! method: for each distinct kernel a tensor `[modules, modules, modules]` of squared differences,
//! its mean, and an assignment from scratch.
//!
//! `shared`: eight propagators of fixed bandwidth, which are one kernel in both. `learned`: eight
//! propagators with a bandwidth each.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use nac_core::{GraphPrior, PriorConfig};
use nac_modules::context::ForwardContext;
use nac_modules::generator::ModuleGroup;
use nac_modules::model::{
    InputSpec, Inputs, Model, ModelConfig, ModelOutput, OutputSpec, build_model,
};
use nac_modules::params::ParamStore;
use nac_train::loss::{GraphPriorLoss, LossContext, LossTerm};
use tch::{Device, Kind, Tensor};

use super::assignment_by_rows::assign;
use crate::scaling::Scaling;

const SIZES: [usize; 3] = [64, 320, 640];
const PRIORS: [&str; 3] = ["scale-free", "planted-partition", "ring-of-cliques"];
/// Sizes of the eight kernels: the transcription takes 8 times as long there.
const LEARNED_SIZES: [usize; 2] = [64, 640];

pub(crate) fn bench(criterion: &mut Criterion) {
    for prior in PRIORS {
        measure(
            criterion,
            &format!("graph_prior/{prior}/shared"),
            prior,
            false,
            &SIZES,
        );
    }
    let (name, prior) = ("graph_prior/scale-free/learned", "scale-free");
    measure(criterion, name, prior, true, &LEARNED_SIZES);
}

fn measure(criterion: &mut Criterion, name: &str, prior: &str, learned: bool, sizes: &[usize]) {
    let prior = PriorConfig::from_name(prior).expect("a prior").build();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    let mut ours = Scaling::new("this crate", "modules");
    let mut theirs = Scaling::new("transcription", "modules");
    for &modules in sizes {
        let circuit = circuit(modules, learned);
        let graphon = graphon(prior.as_ref(), modules);
        let tokens = Tensor::ones([1, 4], (Kind::Int64, Device::Cpu));
        let output = circuit
            .forward(&Inputs::tokens(tokens), &mut ForwardContext::evaluation())
            .expect("fits");
        let signatures = circuit.free_signatures(ModuleGroup::Processors);
        let signatures = signatures.expect("a free circuit");
        let mut loss = GraphPriorLoss::new(again(prior.as_ref()), 0.1, 1);
        let mut step = 0;
        let mut ours_once = || {
            step += 1;
            let value = loss.compute(&LossContext {
                output: &output,
                targets: &Tensor::new(),
                model: circuit.as_ref(),
                step,
            });
            with_gradient(value.expect("finite"), signatures)
        };
        let theirs_once = || with_gradient(transcribed(&output, &graphon), signatures);
        group.bench_function(BenchmarkId::new("ours", modules), |b| {
            ours.time(b, modules as f64, || {
                let _ = black_box(ours_once());
            });
        });
        let mut checked = false;
        group.bench_function(BenchmarkId::new("transcription", modules), |b| {
            if !checked {
                // Several assignments are equally good; their values differ a little.
                let (ours, theirs) = (ours_once().0, theirs_once().0);
                assert!(
                    (ours - theirs).abs() < 1e-2 * theirs,
                    "{name}: {ours}, {theirs}"
                );
                checked = true;
            }
            theirs.time(b, modules as f64, || {
                let _ = black_box(theirs_once());
            });
        });
    }
    group.finish();
    for ((modules, ours), (_, theirs)) in ours.points.iter().zip(&theirs.points) {
        let ratio = theirs / ours;
        println!("{name}, {modules} modules: {ratio:.1} times as fast as the transcription");
    }
    ours.report();
    theirs.report();
}

/// A prior like this one, for a loss to own.
fn again(prior: &dyn GraphPrior) -> Box<dyn GraphPrior> {
    PriorConfig::from_name(prior.name())
        .expect("a prior")
        .build()
}

/// Eight propagators between `modules` modules; what else is in the circuit is small.
fn circuit(modules: usize, learned: bool) -> Box<dyn Model> {
    let mut config = ModelConfig::default();
    let circuit = &mut config.circuit;
    (circuit.modules, circuit.read_out_modules, circuit.state_dim) = (modules, 2, 8);
    circuit.propagator.attention.kernel.learnable_bandwidth = learned;
    let store = ParamStore::new(Device::Cpu, Kind::Float, 5);
    let input = InputSpec::tokens(5, 4, 0);
    build_model(store, &config, &input, &OutputSpec::classes(3)).expect("in range")
}

fn graphon(prior: &dyn GraphPrior, modules: usize) -> Tensor {
    let graphon = prior.link_probabilities(modules).expect("enough modules");
    let values: Vec<f32> = graphon.iter().map(|&p| p as f32).collect();
    Tensor::from_slice(&values).view([modules as i64, modules as i64])
}

/// Value and the gradient of the signatures.
fn with_gradient(value: Tensor, signatures: &Tensor) -> (f64, Tensor) {
    let gradients = Tensor::run_backward(&[&value], &[signatures], false, false);
    let gradient = gradients.into_iter().next().expect("one for each input");
    (value.double_value(&[]), gradient)
}

/// The term as the authors write it.
fn transcribed(output: &ModelOutput, graphon: &Tensor) -> Tensor {
    let mut sum = Tensor::zeros([], (Kind::Float, Device::Cpu));
    for graph in output.graphs() {
        let links = graph.link_probabilities().expect("signatures of modules");
        let order = tch::no_grad(|| {
            let differences = graphon.unsqueeze(1) - links.unsqueeze(0);
            let costs = differences
                .square()
                .mean_dim([-1].as_slice(), false, None::<Kind>);
            let values = Vec::<f64>::try_from(costs.to_kind(Kind::Double).flatten(0, 1));
            let modules = graphon.size()[0] as usize;
            let order = assign(&values.expect("numbers"), modules);
            order
                .into_iter()
                .map(|module| module as i64)
                .collect::<Vec<_>>()
        });
        let order = Tensor::from_slice(&order);
        let matched = links.index_select(0, &order).index_select(1, &order);
        sum += (matched - graphon).square().mean(None::<Kind>);
    }
    sum
}
