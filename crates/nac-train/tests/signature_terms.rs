//! The terms on signatures as a run has them: from settings to a value that training lowers, saved and resumed.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use nac_modules::context::ForwardContext;
use nac_modules::generator::ModuleGroup;
use nac_modules::model::{InputSpec, Inputs, Model, ModelConfig, OutputSpec, build_model};
use nac_modules::params::ParamStore;
use nac_modules::testing::LinearModel;
use nac_train::config::from_toml;
use nac_train::loss::{LossContext, LossTerm};
use nac_train::run::losses;
use tch::{Device, Kind, Tensor};

const SETTINGS: &str = r#"
[loss.graph_prior]
prior = { name = "erdos-renyi", p = 0.2 }
loss_type = "kl"
clip = 0.01
multiplicative_matching_noise = 0.1
weight = { schedule = "linear", start = 1.0, stop = 0.5 }

[loss.signature_repulsion]
hinge = 2.0
reduction = "sum"

[loss.signature_distribution]
components = 2
weight = 2
modules = ["processors"]
"#;

fn terms() -> Vec<Box<dyn LossTerm>> {
    let config = from_toml(SETTINGS, Path::new("test.toml"), &[])
        .unwrap()
        .check()
        .unwrap();
    let mut terms = losses(&config, &OutputSpec::classes(3));
    assert_eq!(terms.remove(0).name(), "cross_entropy");
    terms
}

fn circuit(seed: u64) -> Box<dyn Model> {
    let mut config = ModelConfig::default();
    let circuit = &mut config.circuit;
    (circuit.modules, circuit.read_out_modules, circuit.state_dim) = (10, 3, 8);
    (circuit.propagators, circuit.signature_dim) = (2, 4);
    let input = InputSpec::tokens(5, 4, 0);
    build_model(
        ParamStore::new(Device::Cpu, Kind::Float, seed),
        &config,
        &input,
        &OutputSpec::classes(3),
    )
    .unwrap()
}

fn compute(term: &mut dyn LossTerm, model: &dyn Model) -> nac_train::Result<Tensor> {
    let inputs = if model.free_signatures(ModuleGroup::Processors).is_some() {
        Inputs::tokens(Tensor::ones([1, 4], (Kind::Int64, Device::Cpu)))
    } else {
        Inputs::new().with("x", Tensor::ones([1, 1], (Kind::Float, Device::Cpu)))
    };
    let output = model.forward(&inputs, &mut ForwardContext::evaluation())?;
    term.compute(&LossContext {
        output: &output,
        targets: &Tensor::new(),
        model,
        step: 0,
    })
}

#[test]
fn settings_make_terms_that_training_lowers() {
    for mut term in terms() {
        let model = circuit(5);
        let tensors: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
        let first = compute(term.as_mut(), model.as_ref()).unwrap();
        let gradients = Tensor::f_run_backward(&[&first], &tensors, false, false).unwrap();
        tch::no_grad(|| {
            for (tensor, gradient) in tensors.iter().zip(&gradients).filter(|(_, g)| g.defined()) {
                let _ = tensor.shallow_clone().f_sub_(&(gradient * 0.01)).unwrap();
            }
        });
        let second = compute(term.as_mut(), model.as_ref()).unwrap();
        let (first, second) = (first.double_value(&[]), second.double_value(&[]));
        assert!(second < first, "{}: {first} to {second}", term.name());
    }
}

#[test]
fn weights_follow_their_schedules() {
    let mut terms = terms();
    let mut weights = |progress| {
        let weight = |term: &mut Box<dyn LossTerm>| {
            term.set_progress(progress);
            term.weight()
        };
        terms.iter_mut().map(weight).collect::<Vec<f64>>()
    };
    assert_eq!(weights(0.0), [1.0, 0.1, 2.0]);
    assert_eq!(weights(0.5), [0.75, 0.1, 2.0]);
}

#[test]
fn the_fitted_mixture_survives_a_restart() {
    let (mut term, mut resumed) = (terms().remove(2), terms().remove(2));
    let before = compute(term.as_mut(), circuit(5).as_ref()).unwrap();
    resumed.restore(&term.state()).unwrap();
    // Other signatures: the resumed term judges them by the first ones.
    let other = circuit(6);
    let (a, b) = (
        compute(term.as_mut(), other.as_ref()).unwrap(),
        compute(resumed.as_mut(), other.as_ref()).unwrap(),
    );
    assert_eq!(a, b);
    assert_ne!(a, before);
}

#[test]
fn a_model_without_signatures_is_named() {
    let model = LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 0), "x", 1, 3).unwrap();
    for mut term in terms() {
        let error = compute(term.as_mut(), &model).unwrap_err().to_string();
        assert!(error.contains(term.name()), "{error}");
    }
}

#[test]
fn wrong_settings_are_refused_where_they_stand() {
    for (line, part) in [
        ("signature_repulsion = { hinges = 1 }", "hinges"),
        ("signature_repulsion = { reduction = \"median\" }", "median"),
        (
            "signature_distribution = { modules = [] }",
            "at least one of",
        ),
        ("signature_distribution = { weight = \"a\" }", "schedule"),
        (
            "graph_prior = { prior = { name = \"complete\" }, loss_type = \"l1\" }",
            "l1",
        ),
    ] {
        let error =
            from_toml(&format!("[loss]\n{line}\n"), Path::new("test.toml"), &[]).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
