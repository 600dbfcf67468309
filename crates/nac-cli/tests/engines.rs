//! From a training run to a model that runs without libtorch: train, export, evaluate on both engines.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nac_data::{DataConfig, DataDirs, Loader, LoaderOptions, open};
use nac_engine::{CoreEngine, Engine, EngineOptions, ModelWeights};
use nac_modules::params::TensorFile;
use nac_train::TorchEngine;
use nac_train::batch::arrays;
use predicates::prelude::*;
use tch::Device;

const SETTINGS: &str = r#"
name = "tiny"
device = "cpu"
threads = 1

[data]
name = "digits"

[model.convnext]
dims = [16]
depths = [1]
layer_scale = 0.1

[model.circuit]
modules = 8
read_out_modules = 4
state_dim = 16
signature_dim = 8
propagators = 2
propagator.attention = { heads = 2, head_dim = 8 }

[model.perceiver_io]
depth = 2
latents = 8

[baseline]
match = "parameters"

[training]
steps = 12
batch_size = 16
validation_examples = 40

[optimizer]
learning_rate = 3e-3
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.toml"), SETTINGS).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> assert_cmd::assert::Assert {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("nac"));
        command.current_dir(self.0.path());
        command.args(arguments.split_whitespace());
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command.env_remove("NAC_DATA_DIR");
        assert_cmd::Command::from_std(command).assert()
    }

    /// Accuracy, loss and number of examples that `nac eval` prints.
    fn eval(&self, arguments: &str) -> (f64, f64, usize) {
        let assert = self.run(&format!("eval --run run {arguments}")).success();
        let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let [_, "accuracy", accuracy, "loss", loss, "examples", examples] = words[..] else {
            panic!("{text}")
        };
        (
            accuracy.parse().unwrap(),
            loss.parse().unwrap(),
            examples.parse().unwrap(),
        )
    }
}

/// Trains a model with settings, and checks that all ways to run it agree.
fn agree(settings: &str) {
    let place = Place::new();
    let settings: Vec<String> = settings.split(' ').map(|s| format!("--set {s}")).collect();
    let train = format!("train --config tiny.toml --out run {}", settings.join(" "));
    place.run(&train).success();
    place.run("export --run run --out model").success();

    let expected = place.eval("--device cpu");
    for engine in ["torch", "core --threads 2 --precision f32"] {
        let found = place.eval(&format!("--engine {engine}"));
        assert_eq!((found.0, found.2), (expected.0, expected.2), "{engine}");
        assert!((found.1 - expected.1).abs() <= 1e-5, "{engine}: {found:?}");
    }
    let expected = place.eval("--device cpu --split validation");
    assert_eq!(expected.2, 40);
    for precision in ["bf16", "int8"] {
        let found = place.eval(&format!(
            "--engine core --split validation --precision {precision}"
        ));
        assert!(
            (found.1 - expected.1).abs() < 0.05,
            "{precision}: {found:?}"
        );
    }

    let (settings, weights) = (
        place.path("model/model.toml"),
        place.path("model/model.safetensors"),
    );
    let core = CoreEngine::load(&settings, &weights, EngineOptions::default()).unwrap();
    let engines: [Box<dyn Engine>; 2] = [
        Box::new(core),
        Box::new(TorchEngine::load(&settings, &weights, Device::Cpu).unwrap()),
    ];
    let dirs = DataDirs::new(None, None, place.path("cache"));
    let test = open(&DataConfig::default(), &dirs, 0).unwrap().test;
    let options = LoaderOptions {
        batch_size: 24,
        ..LoaderOptions::default()
    };
    let batch = Loader::new(test, options).unwrap().epoch(0, 0).next();
    let batch = batch.unwrap().unwrap();
    let inputs = arrays(&batch).unwrap();
    let [core, torch] = engines.map(|engine| engine.infer(&inputs).unwrap());
    assert_eq!(core.dim(), (24, 10));
    let most = (&core - &torch)
        .iter()
        .fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(most < 1e-4, "logits differ by {most}");
    let spread = torch.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(spread > 1e-2, "logits are all the same");
}

#[test]
fn a_circuit_runs_alike_on_both_engines() {
    agree("model.kind=nac");
}

/// Its width is matched to the circuit when it is built, so it is not that of the settings of the run.
#[test]
fn a_matched_perceiver_io_runs_alike_on_both_engines() {
    agree("model.kind=perceiver-io");
}

/// The filters of the whitening come from the training images and are saved with the model.
#[test]
fn a_stem_alone_runs_alike_on_both_engines() {
    agree(
        "model.kind=stem-only model.image_tokenizer=conv-stem model.conv_stem.widths=[12] \
         model.conv_stem.strides=[1] model.conv_stem.pools=[2] model.conv_stem.whitening=2",
    );
}

#[test]
fn exports_hold_the_model_alone_and_replace_nothing_unasked() {
    let place = Place::new();
    place
        .run("export --run run --out model")
        .failure()
        .stderr(predicate::str::contains("run"));
    place
        .run("train --config tiny.toml --out run --set training.steps=2")
        .success();
    place
        .run("export --run run --out deep/model")
        .success()
        .stdout(predicate::str::contains("after step 2"));
    let weights = place.path("deep/model/model.safetensors");
    let file = TensorFile::read(&weights).unwrap();
    assert_eq!(
        (
            file.metadata["run"].as_str(),
            file.metadata["step"].as_str()
        ),
        ("tiny", "2")
    );
    assert!(!file.metadata["revision"].is_empty());
    assert!(file.tensors.keys().all(|name| !name.starts_with("optim.")));
    assert_eq!(
        ModelWeights::read(&weights).unwrap().iter().count(),
        file.tensors.len()
    );
    assert!(!file.tensors.is_empty());

    fs::remove_file(place.path("deep/model/model.toml")).unwrap();
    place
        .run("export --run run --out deep/model")
        .failure()
        .stderr(
            predicate::str::contains("model.safetensors exists")
                .and(predicate::str::contains("--force")),
        );
    assert!(
        !place.path("deep/model/model.toml").exists(),
        "nothing is written in half"
    );
    place
        .run("export --run run --out deep/model --force")
        .success();
    let again = TensorFile::read(&weights).unwrap();
    assert!(again.tensors == file.tensors && again.metadata == file.metadata);
    let entries = fs::read_dir(place.path("deep/model")).unwrap();
    assert_eq!(entries.count(), 2);

    // A preset with weights that are not its own.
    place
        .run("export --preset cpu-digits --weights deep/model/model.safetensors --out other")
        .failure()
        .stderr(predicate::str::contains("expected"));
    assert!(!place.path("other").exists());
    place
        .run("export --preset none --weights x --out other")
        .failure()
        .stderr(predicate::str::contains("cpu-digits"));
    place
        .run("export --out other")
        .failure()
        .stderr(predicate::str::contains("--run"));
    place
        .run("eval --run run --engine torch --precision bf16")
        .failure()
        .stderr(predicate::str::contains("--engine core"));
    place
        .run("eval --run run --engine core --device cuda")
        .failure()
        .stderr(predicate::str::contains("on the CPU"));
}

#[test]
fn a_preset_is_exported_with_its_weights() {
    let place = Place::new();
    let (settings, weights) = (
        place.path("model/model.toml"),
        place.path("model/model.safetensors"),
    );
    let file = nac_core::model::Preset::get("cpu-listops").unwrap().file;
    let (_, drawn) = CoreEngine::random(file.clone(), 1, EngineOptions::default()).unwrap();
    let tensors = drawn.iter().map(|(name, shape)| {
        let (_, values) = drawn.get(name).unwrap();
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        (
            name.to_owned(),
            tch::Tensor::from_slice(values).reshape(shape),
        )
    });
    let content = TensorFile {
        tensors: tensors.collect(),
        ..TensorFile::default()
    };
    fs::write(place.path("w.safetensors"), content.to_bytes().unwrap()).unwrap();
    place
        .run("export --preset cpu-listops --weights w.safetensors --out model")
        .success()
        .stdout(predicate::str::contains("431103 parameters"));
    let engine = CoreEngine::load(&settings, &weights, EngineOptions::default()).unwrap();
    assert_eq!(engine.settings(), &file);
    assert_eq!(ModelWeights::read(&weights).unwrap(), drawn);
}
