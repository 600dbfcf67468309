//! Every preset is what its file says: it builds, trains a step, is saved and loaded, and has the parameters
//! that its header names.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use nac_core::rng::Streams;
use nac_engine::RandomInputs;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::{InputSpec, Inputs, Model};
use nac_modules::params::{ParamStore, TensorFile};
use nac_modules::presets::{BuildModel, Preset, names};
use nac_train::batch::input_tensors;
use tch::{Device, Kind, Tensor};

const SEED: u64 = 42;

/// One example: normalized pixels, or symbols of which the second half is padding.
fn example(spec: &InputSpec) -> Inputs {
    input_tensors(&RandomInputs::new(spec, 1, SEED).all(), Device::Cpu).unwrap()
}

fn evaluate(model: &dyn Model, inputs: &Inputs) -> Tensor {
    let mut ctx = ForwardContext::evaluation();
    tch::no_grad(|| model.forward(inputs, &mut ctx).unwrap().logits)
}

fn finite(tensor: &Tensor) -> bool {
    tensor.isfinite().all().int64_value(&[]) == 1
}

/// One step's loss and gradients.
fn check_training(preset: &Preset, model: &dyn Model, inputs: &Inputs) {
    let name = preset.name;
    // Gates of a text generator start closed, so that what is behind them gets no gradient in the first step.
    for (parameter, tensor) in model.params().parameters() {
        if parameter.ends_with(".gate") {
            let _ = tch::no_grad(|| tensor.shallow_clone().fill_(0.1));
        }
    }
    let mut noise = StreamNoise::new(Streams::new(SEED));
    let mut ctx = ForwardContext::training(&mut noise);
    let logits = model.forward(inputs, &mut ctx).unwrap().logits;
    assert_eq!(
        logits.size(),
        [1, preset.file.output.width() as i64],
        "{name}"
    );
    let loss = logits.cross_entropy_for_logits(&Tensor::from_slice(&[1_i64]));
    assert!(finite(&loss), "{name}: loss {loss:?}");
    loss.backward();
    let mut moved = 0;
    for (parameter, tensor) in model.params().parameters() {
        let gradient = tensor.grad();
        // Some parameters have no use in some models, such as signatures of read-in modules.
        if gradient.defined() {
            assert!(finite(&gradient), "{name}: gradient of {parameter}");
            moved += usize::from(gradient.abs().max().double_value(&[]) > 0.0);
        }
    }
    let parameters = model.params().parameters().count();
    assert!(
        moved * 10 > parameters * 8,
        "{name}: {moved} of {parameters} parameters have a gradient"
    );
    let first = model.params().parameters().find(|(parameter, _)| {
        parameter.contains("downsample_layers.0.0.weight")
            || parameter.ends_with("embedding.weight")
            || parameter.ends_with(".conv.weight")
    });
    let gradient = first.unwrap().1.grad();
    assert!(
        gradient.defined() && gradient.abs().max().double_value(&[]) > 0.0,
        "{name}: the loss does not depend on the input"
    );
    for (_, tensor) in model.params().parameters() {
        tensor.shallow_clone().zero_grad();
    }
}

/// The number in the line `# Parameters: 38,699,123`.
fn parameters_in_header(preset: &Preset) -> usize {
    let line = preset
        .text
        .lines()
        .find_map(|line| line.strip_prefix("# Parameters:"))
        .unwrap_or_else(|| panic!("{}: the header names no parameters", preset.name));
    line.trim().replace(',', "").parse().unwrap()
}

#[test]
fn headers_are_complete_and_name_the_measured_parameters() {
    let mut wrong = Vec::new();
    for name in names() {
        let preset = Preset::get(name).unwrap();
        let header: Vec<&str> = preset
            .text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        for field in ["Source", "Parameters", "Command", "Expected"] {
            let start = format!("# {field}:");
            let given = header
                .iter()
                .filter_map(|line| line.strip_prefix(&start))
                .any(|value| !value.trim().is_empty());
            assert!(given, "{name}: the header has no {field}");
        }
        let (stated, measured) = (
            parameters_in_header(&preset),
            preset.parameter_count().unwrap(),
        );
        if stated != measured {
            wrong.push(format!("{name}: stated {stated}, measured {measured}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sizes that were measured on the authors' code, in millions.
#[test]
fn parameters_agree_with_the_reference() {
    for (name, millions) in [
        ("imagenet-chonker", 38.7),
        ("imagenet-perceiver-io", 25.1),
        ("tiny-imagenet-scale-free", 36.1),
        ("tiny-imagenet-perceiver-io", 23.0),
    ] {
        let count = Preset::get(name).unwrap().parameter_count().unwrap() as f64 / 1e6;
        assert!((count - millions).abs() <= 0.05, "{name}: {count} million");
    }
}

#[test]
fn every_preset_trains_saves_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    for name in names() {
        let preset = Preset::get(name).unwrap();
        let store = ParamStore::new(Device::Cpu, Kind::Float, SEED);
        let model = preset.build(store).unwrap();
        let inputs = example(&preset.file.inputs);
        check_training(&preset, &*model, &inputs);
        let logits = evaluate(&*model, &inputs);
        assert!(finite(&logits), "{name}: logits");

        let path = folder.path().join(format!("{name}.safetensors"));
        let file = TensorFile {
            tensors: model.params().export().unwrap(),
            ..TensorFile::default()
        };
        drop(model);
        std::fs::write(&path, file.to_bytes().unwrap()).unwrap();
        drop(file);
        let store = ParamStore::sizes_only(Device::Cpu, Kind::Float);
        let mut model = preset.build(store).unwrap();
        let fresh = evaluate(&*model, &inputs);
        assert_ne!(fresh, logits, "{name}: without the weights");
        let file = TensorFile::read(&path).unwrap();
        model.params_mut().import(name, &file.tensors).unwrap();
        drop(file);
        assert_eq!(
            evaluate(&*model, &inputs),
            logits,
            "{name}: after a round trip"
        );
        std::fs::remove_file(&path).unwrap();
        eprintln!("{name}: fine");
    }
}
