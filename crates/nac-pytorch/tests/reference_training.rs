//! Five training steps of the reference implementation, replayed: forward with the recorded draws, cross-entropy,
//! graph prior with its matching, backward, AdamW with the paper's groups.
//!
//! The recording `g_adamw5_chonker_small_train` holds the batches, draws, initial weights, the losses of each step
//! and the weights after the fifth.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use nac_core::PriorConfig;
use nac_modules::context::{ForwardContext, RecordedNoise};
use nac_modules::model::{InputSpec, Inputs, Model, ModelConfig, build_model};
use nac_modules::params::{ParamStore, TensorFile};
use nac_train::config::OptimizerConfig;
use nac_train::loss::{CrossEntropy, GraphPriorLoss, LossContext, LossTerm};
use nac_train::optim::AdamW;
use tch::{Device, Kind, Tensor};

const NAME: &str = "g_adamw5_chonker_small_train";

fn circuit() -> Box<dyn Model> {
    let mut config = ModelConfig::default();
    (config.convnext.dims, config.convnext.grid_dim) = (vec![16, 32], 16);
    let circuit = &mut config.circuit;
    (circuit.modules, circuit.read_out_modules) = (32, 8);
    (
        circuit.state_dim,
        circuit.signature_dim,
        circuit.propagators,
    ) = (64, 16, 3);
    circuit.read_in.attention.head_dim = 16;
    (
        circuit.propagator.attention.heads,
        circuit.propagator.attention.head_dim,
    ) = (4, 16);
    circuit.read_out.head_dim = 16;
    let input = InputSpec::Image {
        channels: 3,
        height: 64,
        width: 64,
    };
    build_model(
        ParamStore::sizes_only(Device::Cpu, Kind::Float),
        &config,
        input,
        10,
    )
    .unwrap()
}

#[test]
fn five_steps_agree_with_the_reference() {
    tch::set_num_threads(1); // as it was recorded
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let recording = TensorFile::read(&folder.join(format!("{NAME}.safetensors")))
        .unwrap()
        .tensors;
    let facts = std::fs::read_to_string(folder.join(format!("{NAME}.json"))).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
    let noise_floor = |name: &str| {
        facts["f32_vs_f64"][name]["max_abs_err"]
            .as_f64()
            .unwrap_or(0.0)
    };

    let mut model = circuit();
    let start = recording.iter();
    let start =
        start.filter_map(|(name, t)| Some((name.strip_prefix("param.")?.to_owned(), t.copy())));
    model.params_mut().import(NAME, &start.collect()).unwrap();
    let config = OptimizerConfig {
        weight_decay: 0.05,
        eps: 1e-8,
        ..OptimizerConfig::default()
    };
    let mut optimizer = AdamW::new(model.params(), &config);
    let mut cross_entropy = CrossEntropy::new(0.0);
    let mut prior = GraphPriorLoss::new(
        PriorConfig::from_name("scale-free").unwrap().build(),
        0.1,
        1,
    );

    for step in 0..5_i64 {
        let prefix = format!("noise.step{step}.");
        let order = facts["noise_in_call_order"].as_array().unwrap().iter();
        let names = order
            .map(|name| name.as_str().unwrap())
            .filter(|name| name.starts_with(&prefix));
        let mut noise = RecordedNoise::new(names.map(|name| recording[name].copy()));
        let inputs = Inputs::image(recording["in.image"].get(step));
        let labels = recording["in.targets"].get(step);
        let output = model
            .forward(&inputs, &mut ForwardContext::training(&mut noise))
            .unwrap();
        assert_eq!(noise.remaining(), 0);
        let context = LossContext {
            output: &output,
            labels: &labels,
            model: model.as_ref(),
            step: step as u64,
        };
        let (ce, reg) = (
            cross_entropy.compute(&context).unwrap(),
            prior.compute(&context).unwrap(),
        );
        let loss = &ce + &reg * prior.weight();
        for (name, value) in [("ce", &ce), ("reg", &reg), ("loss", &loss)] {
            let name = format!("out.{name}_per_step");
            let (found, expected) = (
                value.double_value(&[]),
                recording[&name].double_value(&[step]),
            );
            let allowed = 10.0 * noise_floor(&name) + 1e-5 * expected.abs();
            assert!(
                (found - expected).abs() <= allowed,
                "{name}, step {step}: {found}, recorded {expected}"
            );
        }
        let gradients =
            Tensor::f_run_backward(&[&loss], &optimizer.parameters(), false, false).unwrap();
        optimizer.step(&gradients, 1e-3).unwrap();
    }

    let mut checked = 0;
    for (name, expected) in recording.iter() {
        let Some(parameter) = name.strip_prefix("out.final.") else {
            continue;
        };
        // Its true gradient is zero: Adam blows rounding noise up to full steps.
        if parameter == "output_tokenizer.confidence_scorer.bias" {
            continue;
        }
        let found = model
            .params()
            .get(parameter)
            .unwrap_or_else(|| panic!("no parameter {parameter}"))
            .detach();
        let error = (&found - expected).abs().max().double_value(&[]);
        let allowed = 10.0 * noise_floor(name) + 1e-5 * expected.abs().max().double_value(&[]);
        assert!(
            error <= allowed,
            "{parameter}: differs by {error:e}, allowed {allowed:e}"
        );
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}
