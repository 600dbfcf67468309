//! Tests of the graph-prior loss.

use nac_core::PriorConfig;
use nac_core::prior::PlantedPartition;
use nac_modules::context::ForwardContext;
use nac_modules::model::{
    InputSpec, Inputs, Model, ModelConfig, ModelOutput, OutputSpec, build_model,
};
use nac_modules::params::ParamStore;
use nac_modules::testing::LinearModel;
use ndarray::Array2;

use super::*;
use tch::{Device, Kind};

fn circuit(modules: usize) -> Box<dyn Model> {
    let mut config = ModelConfig::default();
    (
        config.circuit.modules,
        config.circuit.state_dim,
        config.circuit.propagators,
    ) = (modules, 8, 2);
    (
        config.circuit.read_out_modules,
        config.circuit.signature_dim,
    ) = (2, 8);
    let store = ParamStore::new(Device::Cpu, Kind::Float, 5);
    let input = InputSpec::tokens(5, 4, 0);
    build_model(store, &config, &input, &OutputSpec::classes(3)).unwrap()
}

/// What the circuit gives for one example.
fn output(model: &dyn Model) -> ModelOutput {
    let tokens = Tensor::ones([1, 4], (Kind::Int64, Device::Cpu));
    let inputs = Inputs::tokens(tokens);
    model
        .forward(&inputs, &mut ForwardContext::evaluation())
        .unwrap()
}

fn links(model: &dyn Model) -> Array2<f64> {
    let circuit = output(model).circuit.unwrap();
    let links = circuit
        .graphs()
        .next()
        .unwrap()
        .link_probabilities()
        .unwrap();
    let n = links.size()[0] as usize;
    let values = links.detach().to_kind(Kind::Double).flatten(0, 1);
    Array2::from_shape_vec((n, n), Vec::try_from(values).unwrap()).unwrap()
}

fn value(loss: &mut GraphPriorLoss, model: &dyn Model, step: u64) -> Result<Tensor> {
    compute(loss, &output(model), model, step)
}

fn compute(
    loss: &mut GraphPriorLoss,
    output: &ModelOutput,
    model: &dyn Model,
    step: u64,
) -> Result<Tensor> {
    loss.compute(&LossContext {
        output,
        targets: &Tensor::new(),
        model,
        step,
    })
}

/// All orders of `0..n`, for the slow reference.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(n - 1);
    shorter
        .iter()
        .flat_map(|p| (0..n).map(move |at| [&p[..at], &[n - 1], &p[at..]].concat()))
        .collect()
}

#[test]
fn a_planted_graph_under_other_module_numbers_costs_nothing() {
    // Modules of one cluster share a signature, clusters are orthogonal: links are 1 within, exp(−1) between.
    // Clusters have other names and borders than the prior's 0000 1111 2222.
    let clusters = [1_i64, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 1];
    let mut model = circuit(12);
    let mut weights = model.params().export().unwrap();
    let signatures = Tensor::from_slice(&clusters)
        .one_hot(8)
        .to_kind(Kind::Float);
    weights.insert(
        "latent_graphs.0.mediator_latents.signatures_".into(),
        signatures,
    );
    model.params_mut().import("test", &weights).unwrap();
    let prior = PlantedPartition {
        clusters: 3,
        p_in: 1.0,
        p_out: (-1.0_f64).exp(),
    };
    let mut loss = GraphPriorLoss::new(Box::new(prior), 0.1, 1);
    let zero = value(&mut loss, model.as_ref(), 0)
        .unwrap()
        .double_value(&[]);
    assert!(zero < 1e-12, "{zero}");
    let matching: Vec<i64> = Vec::try_from(&loss.state()["propagator.0"]).unwrap();
    let matched: Vec<i64> = matching
        .iter()
        .map(|&module| clusters[module as usize])
        .collect();
    assert_eq!(matched, [1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0]);
}

#[test]
fn the_matching_is_the_best_of_all() {
    let model = circuit(5);
    let found = links(model.as_ref());
    let prior = PlantedPartition {
        clusters: 2,
        ..Default::default()
    };
    let graphon = prior.link_probabilities(5).unwrap();
    let mut loss = GraphPriorLoss::new(Box::new(prior), 0.1, 1);
    let term = value(&mut loss, model.as_ref(), 0)
        .unwrap()
        .double_value(&[]);
    let matching: Vec<i64> = Vec::try_from(&loss.state()["propagator.0"]).unwrap();
    let cost = |order: &[usize]| -> f64 {
        let row = |t: usize| {
            (0..5)
                .map(|k| (graphon[[t, k]] - found[[order[t], k]]).powi(2))
                .sum::<f64>()
                / 5.0
        };
        (0..5).map(row).sum()
    };
    let best = permutations(5)
        .iter()
        .map(|order| cost(order))
        .fold(f64::INFINITY, f64::min);
    let order: Vec<usize> = matching.iter().map(|&i| i as usize).collect();
    assert!((cost(&order) - best).abs() < 1e-9);
    let mut expected = 0.0;
    for t in 0..5 {
        for k in 0..5 {
            expected += (found[[order[t], order[k]]] - graphon[[t, k]]).powi(2) / 25.0;
        }
    }
    assert!(
        (term - expected).abs() < 1e-6,
        "{term}, expected {expected}"
    );
}

#[test]
fn its_gradient_moves_signatures_only_and_lowers_the_term() {
    let model = circuit(8);
    let mut loss = GraphPriorLoss::new(
        Box::new(PlantedPartition {
            clusters: 2,
            ..Default::default()
        }),
        0.1,
        1,
    );
    let names: Vec<&str> = model.params().parameters().map(|(name, _)| name).collect();
    let tensors: Vec<&Tensor> = model
        .params()
        .parameters()
        .map(|(_, tensor)| tensor)
        .collect();
    let first = value(&mut loss, model.as_ref(), 0).unwrap();
    let gradients = Tensor::f_run_backward(&[&first], &tensors, false, false).unwrap();
    let moved: Vec<&str> = names
        .iter()
        .zip(&gradients)
        .filter(|(_, g)| g.defined())
        .map(|(n, _)| *n)
        .collect();
    assert_eq!(moved, ["latent_graphs.0.mediator_latents.signatures_"]);
    tch::no_grad(|| {
        for (tensor, gradient) in tensors.iter().zip(&gradients).filter(|(_, g)| g.defined()) {
            let _ = tensor.shallow_clone().f_sub_(&(gradient * 5.0)).unwrap();
        }
    });
    let second = value(&mut loss, model.as_ref(), 1)
        .unwrap()
        .double_value(&[]);
    assert!(second < first.double_value(&[]));
}

#[test]
fn the_matching_is_kept_between_refreshes_and_can_be_restored() {
    let model = circuit(6);
    let prior = || PriorConfig::from_name("scale-free").unwrap().build();
    let mut loss = GraphPriorLoss::new(prior(), 0.1, 10);
    let _ = value(&mut loss, model.as_ref(), 0).unwrap();
    let reversed = Tensor::from_slice(&[5_i64, 4, 3, 2, 1, 0]);
    loss.restore(&[("propagator.0".to_owned(), reversed.copy())].into())
        .unwrap();
    let _ = value(&mut loss, model.as_ref(), 9).unwrap();
    assert_eq!(loss.state()["propagator.0"], reversed, "kept");
    let _ = value(&mut loss, model.as_ref(), 10).unwrap();
    assert_ne!(loss.state()["propagator.0"], reversed, "matched anew");
    let bad = [("propagator.0".to_owned(), Tensor::from_slice(&[0_i64, 0]))].into();
    assert!(
        loss.restore(&bad)
            .unwrap_err()
            .to_string()
            .contains("not a permutation")
    );
}

#[test]
fn a_model_without_links_is_an_error() {
    let model = LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 0), "x", 1, 3).unwrap();
    let mut loss = GraphPriorLoss::new(PriorConfig::from_name("complete").unwrap().build(), 0.1, 1);
    let output = ModelOutput::new(Tensor::new());
    let error = compute(&mut loss, &output, &model, 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("graph_prior") && error.contains("no circuit"),
        "{error}"
    );
}

#[test]
fn a_given_assignment_is_used_and_checked() {
    let model = circuit(6);
    let prior = || PriorConfig::from_name("scale-free").unwrap().build();
    let mut best = GraphPriorLoss::new(prior(), 0.1, 1);
    let least = value(&mut best, model.as_ref(), 0).unwrap();
    let matching = best.state()["propagator.0"].copy();
    assert!(best.matching_costs()["propagator.0"] > 0.0);
    let mut given = GraphPriorLoss::new(prior(), 0.1, 1).with_assignment(matching.copy());
    assert_eq!(value(&mut given, model.as_ref(), 0).unwrap(), least);
    assert!(given.matching_costs().is_empty());
    let other = matching.flip([0]);
    let mut given = GraphPriorLoss::new(prior(), 0.1, 1).with_assignment(other);
    assert_ne!(value(&mut given, model.as_ref(), 0).unwrap(), least);
    for bad in [&[0_i64, 1, 2][..], &[0, 0, 1, 2, 3, 4]] {
        let mut given =
            GraphPriorLoss::new(prior(), 0.1, 1).with_assignment(Tensor::from_slice(bad));
        let error = value(&mut given, model.as_ref(), 0).unwrap_err();
        assert!(error.to_string().contains("not a permutation"), "{error}");
    }
}

#[test]
fn matching_noise_is_fixed_by_seed_and_step() {
    let model = circuit(12);
    let matched = |seed, step| {
        let prior = PriorConfig::from_name("scale-free").unwrap().build();
        let mut loss =
            GraphPriorLoss::new(prior, 0.1, 1).with_matching_noise(5.0, Streams::new(seed));
        let _ = value(&mut loss, model.as_ref(), step).unwrap();
        loss.state()["propagator.0"].copy()
    };
    assert_eq!(matched(0, 3), matched(0, 3));
    assert_ne!(matched(0, 3), matched(0, 4));
    assert_ne!(matched(0, 3), matched(1, 3));
}

#[test]
fn all_sets_of_modules_can_be_drawn_together() {
    let model = circuit(6);
    let prior = PriorConfig::from_name("scale-free").unwrap().build();
    let mut loss = GraphPriorLoss::new(prior, 0.1, 1).with_modules(ModuleGroups::ALL);
    let term = value(&mut loss, model.as_ref(), 0).unwrap();
    // 6 read-in, 6 processor and 2 read-out modules.
    assert_eq!(loss.state()["propagator.0"].size(), [14]);
    let names: Vec<&str> = model.params().parameters().map(|(name, _)| name).collect();
    let tensors: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
    let gradients = Tensor::f_run_backward(&[&term], &tensors, false, false).unwrap();
    let moved = names.iter().zip(&gradients).filter(|(_, g)| g.defined());
    let moved: Vec<&str> = moved.map(|(name, _)| *name).collect();
    assert_eq!(moved.len(), 3, "{moved:?}");
    assert!(moved.iter().all(|name| name.ends_with("signatures_")));
}
