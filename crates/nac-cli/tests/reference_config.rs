//! The reference's YAML settings to TOML and back, and the weights that go with them.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nac_core::model::ModelConfig;
use nac_modules::params::{ParamStore, TensorFile};
use nac_pytorch::weights::{Format, read, write};
use nac_pytorch::yaml::{export_config, import_config};
use nac_train::config::{RunConfig, from_toml, load};
use predicates::prelude::*;
use support::all_goldens;
use tch::{Device, Kind, Tensor};

fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nac-pytorch/tests/fixtures/reference/small.yml")
}

fn nac(arguments: &[&Path]) -> assert_cmd::assert::Assert {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("nac"));
    command.arg("weights").args(arguments).assert()
}

/// The settings of a run on images of the small file's size.
fn run_config(toml: &str) -> RunConfig {
    let mut config = from_toml(toml, Path::new("model.toml"), &[]).unwrap();
    config.data.name = "cifar10".into();
    config
}

#[test]
fn a_settings_file_becomes_toml_with_what_it_says() {
    let reference = import_config(&small()).unwrap();
    let text = reference.to_toml().unwrap();
    let config = run_config(&text);
    assert_eq!(config.model.circuit, reference.model.config.circuit);
    assert_eq!(config.model.convnext, reference.model.config.convnext);
    let circuit = &config.model.circuit;
    assert_eq!(
        (
            circuit.modules,
            circuit.read_out_modules,
            circuit.propagators
        ),
        (12, 3, 2)
    );
    // What the file leaves out has the reference's defaults, not ours.
    let read_out = &circuit.read_out;
    assert!(
        read_out.attention.kernel.learnable_bandwidth
            && !read_out.attention.kernel.stochastic
            && read_out.attention.qkv_bias
    );
    assert_eq!(config.model.convnext.dims, [8, 16]);
    for part in [
        "images of 3 channels and 32 x 32 pixels, and 10 classes",
        "Not taken over, see the page \"From PyTorch\" of the book: criterion, data.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("perceiver_io"), "{text}");
    let fit = config.signature_fit.processors.unwrap();
    assert_eq!(fit.graph.name(), "barabasi-albert");
}

/// The options of the released `INET-NC-X` and `TINY-INET-NC-X` that the others do not have.
#[test]
fn the_older_released_models_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older.yml");
    let text = r#"
model:
  name: NeuralCompiler
  kwargs:
    {input_dim: 3, output_dim: 5, state_dim: 16, simplified_interface: true,
     input_tokenizer_type: ConvNeXtImageTokenizer,
     input_tokenizer_kwargs: {capacity_preset: tiny, positional_grid_kwargs: {dim: 8, grid_size: [2, 2]}},
     latent_graph_kwargs: {code_dim: 16, signature_dim: 4, num_input_latents: 4, num_mediator_latents: 20,
       num_output_latents: 1, num_iterations: 2, share_propagator_weights: false, num_heads: 2, head_dim: 4,
       ffn_capacity_factor: 1.3333, code_noise_scale: 0.05, use_code_noise_in_latent_seeder: true,
       input_latent_kwargs: null, read_in_kwargs: {path_drop_prob: 0.0},
       mediator_latent_kwargs: {graph_preset: watts-strogatz, graph_generator_kwargs: {truncation: 0.9}}}}
"#;
    fs::write(&path, text).unwrap();
    let reference = import_config(&path).unwrap();
    assert_eq!(reference.model.config.convnext.depths, [3, 3, 9]);
    assert_eq!(reference.model.config.convnext.dims, [4, 8, 16]);
    assert_eq!(reference.image_size, [32, 32]);
    let store = nac_modules::params::ParamStore::cpu(0);
    let model = reference.model.build(store, 32, 32).unwrap();
    assert!(model.params().parameter_count() > 1000);
    let config = run_config(&reference.to_toml().unwrap());
    let fit = config.signature_fit.processors.unwrap();
    assert_eq!((fit.graph.name(), fit.truncation), ("watts-strogatz", 0.9));
    // And back.
    let yaml = export_config(&path, &config.check().unwrap()).unwrap();
    assert!(yaml.contains("capacity_preset: tiny"), "{yaml}");
}

#[test]
fn toml_becomes_yaml_that_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let config = run_config(&import_config(&small()).unwrap().to_toml().unwrap());
    let yaml = export_config(&small(), &config.check().unwrap()).unwrap();
    fs::write(place("back.yml"), yaml).unwrap();
    let back = import_config(&place("back.yml")).unwrap();
    assert_eq!(back.model.config.circuit, config.model.circuit);
    assert_eq!(back.model.config.convnext, config.model.convnext);

    // The defaults too: inherited settings are written out, a grid gets the size of the images.
    let defaults = RunConfig::default();
    let mut defaults = RunConfig {
        data: config.data.clone(),
        ..defaults
    };
    let yaml = export_config(&small(), &defaults.check().unwrap()).unwrap();
    fs::write(place("defaults.yml"), yaml).unwrap();
    let back = import_config(&place("defaults.yml")).unwrap();
    assert_eq!(back.model.config.convnext.grid_size, Some([4, 4]));
    assert_eq!(
        back.model.config.circuit.read_in.attention.mod_fc,
        Some(defaults.model.circuit.mod_fc.clone())
    );

    // The baseline, and what cannot be said.
    defaults.model.kind = nac_modules::model::ModelKind::PerceiverIo;
    let yaml = export_config(&small(), &defaults.check().unwrap()).unwrap();
    fs::write(place("baseline.yml"), yaml).unwrap();
    let back = import_config(&place("baseline.yml")).unwrap();
    assert_eq!(back.model.config.perceiver_io, defaults.model.perceiver_io);
    defaults.model.convnext.stem_patch = 2;
    let error = export_config(&small(), &defaults.check().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot express"), "{error}");
    assert!(error.contains(".patch.side (2 → 4)"), "{error}");
}

#[test]
fn errors_name_file_and_option() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.yml");
    let text = fs::read_to_string(small()).unwrap();
    let laughs = "a: &a [x, x]\n".to_owned()
        + &(0..40)
            .map(|i| {
                format!(
                    "a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n",
                    match i {
                        0 => String::new(),
                        i => (i - 1).to_string(),
                    }
                )
            })
            .collect::<String>();
    for (text, part) in [
        (
            text.replace("qkv_bias", "qkv_bais"),
            "model.kwargs: `latent_graph_kwargs",
        ),
        (
            text.replace("NeuralCompiler", "Transformer"),
            "model `Transformer` is unknown",
        ),
        (text.replace("  name: NeuralCompiler", ""), "no model in it"),
        (
            text.replace("num_iterations: 2", "num_iterations: two"),
            "num_iterations",
        ),
        ("model: [".into(), "bad.yml: "),
        (laughs, "bad.yml: "),
    ] {
        fs::write(&path, text).unwrap();
        let error = import_config(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("bad.yml"), "{error}");
    }
}

#[test]
fn the_program_converts_settings_and_checks_weights_against_them() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let reference = import_config(&small()).unwrap();
    let store = ParamStore::new(Device::Cpu, Kind::Float, 5);
    let mut weights = reference
        .model
        .build(store, 32, 32)
        .unwrap()
        .params()
        .export()
        .unwrap();
    write(&place("theirs.pt"), &weights, Format::Torch, false).unwrap();
    let (theirs, ours, toml) = (
        place("theirs.pt"),
        place("ours.safetensors"),
        place("model.toml"),
    );
    let flag = |name: &'static str| Path::new(name);
    let convert = [
        flag("convert"),
        &theirs,
        &ours,
        flag("--config"),
        &small(),
        flag("--config-out"),
        &toml,
    ];
    nac(&convert).success();
    assert_eq!(read(&ours, None).unwrap().tensors, weights);
    assert_eq!(
        load(&toml, &[]).unwrap().model.circuit,
        reference.model.config.circuit
    );
    nac(&convert)
        .failure()
        .stderr(predicate::str::contains("exists"));
    let (again, yaml) = (place("again.toml"), place("again.yml"));
    nac(&[flag("convert-config"), &small(), &again]).success();
    assert_eq!(fs::read(&again).unwrap(), fs::read(&toml).unwrap());
    let with_data = format!(
        "[data]\nname = \"cifar10\"\n\n{}",
        fs::read_to_string(&again).unwrap()
    );
    fs::write(&again, with_data).unwrap();
    nac(&[flag("convert-config"), &again, &yaml]).success();
    assert_eq!(
        import_config(&yaml).unwrap().model.config.circuit,
        reference.model.config.circuit
    );

    let gone = weights.pop_first().unwrap().0;
    weights.insert("surplus".into(), Tensor::from_slice(&[1.0_f32]));
    write(&theirs, &weights, Format::Torch, true).unwrap();
    let out = place("none.safetensors");
    nac(&[flag("convert"), &theirs, &out, flag("--config"), &small()])
        .failure()
        .stderr(
            predicate::str::contains(format!("missing (1): {gone}"))
                .and(predicate::str::contains("unexpected (1): surplus")),
        );
    assert!(!out.exists());
}

#[test]
fn the_models_of_all_recordings_are_imported_filled_and_exported() {
    let Some(goldens) = all_goldens("models of all goldens") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut models = 0;
    for entry in fs::read_dir(goldens).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let mut facts: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let class = facts["config"]["cls"].as_str().unwrap_or_default();
        if !["NeuralCompiler", "PerceiverIO"].contains(&class) {
            continue;
        }
        if let Some(config) = facts["config"].as_object_mut() {
            config.remove("optimizer"); // of the recording, not of the model
        }
        // JSON is YAML.
        let (name, yaml) = (path.display(), folder.path().join("model.yml"));
        fs::write(&yaml, facts["config"].to_string()).unwrap();
        let reference = import_config(&yaml).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tensors = TensorFile::read(&path.with_extension("safetensors"))
            .unwrap()
            .tensors;
        let weights: BTreeMap<String, Tensor> = tensors
            .into_iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix("param.")?.to_owned(), tensor)))
            .collect();
        let (torch, ours) = (
            folder.path().join("w.pt"),
            folder.path().join("w.safetensors"),
        );
        write(&torch, &weights, Format::Torch, true).unwrap();
        write(
            &ours,
            &read(&torch, None).unwrap().tensors,
            Format::Safetensors,
            true,
        )
        .unwrap();
        let read_back = read(&ours, None).unwrap();
        reference
            .check(&ours, &read_back)
            .unwrap_or_else(|error| panic!("{name}: {error}"));

        let mut config = run_config(&reference.to_toml().unwrap());
        config.name = "x".into();
        let exported = export_config(&path, &config.check().unwrap());
        fs::write(
            &yaml,
            exported.unwrap_or_else(|error| panic!("{name}: {error}")),
        )
        .unwrap();
        let back = import_config(&yaml).unwrap();
        let resolved = |config: &ModelConfig| config.circuit.resolve(8, 10).unwrap();
        assert_eq!(
            resolved(&back.model.config),
            resolved(&reference.model.config),
            "{name}"
        );
        assert_eq!(
            back.model.config.perceiver_io, reference.model.config.perceiver_io,
            "{name}"
        );
        models += 1;
    }
    assert!(models > 0, "no recording of a model");
}
