//! Resolved models are complete: they know every tensor of the built model, by name and shape.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

use std::collections::BTreeMap;

use nac_core::model::spec::Node;
use nac_modules::model::{BuildModel, ModelFile};
use nac_modules::params::{ParamStore, Role};
use nac_modules::presets::Preset;
use tch::{Device, Kind};

/// Shape and whether it is trained, by name.
type Tensors = BTreeMap<String, (Vec<i64>, bool)>;

fn built(file: &ModelFile) -> (Tensors, BTreeMap<String, String>, usize) {
    let model = file
        .build(ParamStore::sizes_only(Device::Cpu, Kind::Float))
        .unwrap();
    let store = model.params();
    let entry = |(name, entry): (&str, &nac_modules::params::Entry)| {
        let trained = entry.role == Role::Parameter;
        (name.to_owned(), (entry.tensor.size(), trained))
    };
    let aliases = store
        .aliases()
        .map(|(alias, name)| (alias.to_owned(), name.to_owned()));
    let count = store.parameter_count();
    (store.iter().map(entry).collect(), aliases.collect(), count)
}

fn check(name: &str, file: &ModelFile) {
    let spec = file.resolve().unwrap();
    let (mut tensors, mut aliases) = (Tensors::new(), BTreeMap::new());
    for parameter in spec.parameters() {
        let before = match parameter.shared_with {
            Some(target) => aliases.insert(parameter.name.clone(), target).is_some(),
            None => {
                let shape = parameter.shape.iter().map(|&size| size as i64).collect();
                let entry = (shape, parameter.trained);
                tensors.insert(parameter.name.clone(), entry).is_some()
            }
        };
        assert!(!before, "{name}: {} is named twice", parameter.name);
    }
    let (expected, expected_aliases, count) = built(file);
    for (path, entry) in &expected {
        assert_eq!(tensors.get(path), Some(entry), "{name}: {path}");
    }
    assert_eq!(tensors.len(), expected.len(), "{name}");
    assert_eq!(aliases, expected_aliases, "{name}");
    assert_eq!(spec.parameter_count(), count, "{name}");
}

#[test]
fn every_preset_is_complete() {
    for name in Preset::names() {
        check(
            name,
            &ModelFile::from_toml(Preset::get(name).unwrap().text).unwrap(),
        );
    }
}

#[test]
fn sharing_and_optional_layers_are_complete() {
    let changes: [(&str, &dyn Fn(&mut ModelFile)); 4] = [
        ("cpu-digits", &|f| {
            f.model.circuit.wiring.share_propagators = true
        }),
        ("cpu-digits", &|f| {
            f.model.circuit.wiring.share_propagator_ffn = true;
            f.model.circuit.wiring.codes_per_propagator = true;
            f.model.circuit.seeder.mean = nac_core::model::StateMean::Learned;
            f.model.circuit.mod_fc.kind = nac_core::model::ProjectionKind::WModFc;
        }),
        ("imagenet-nc-x", &|f| {
            f.model.circuit.read_out.pre_output_layernorm = true;
            f.model.circuit.read_in.kind = nac_core::model::ReadInKind::Projection;
            f.model.circuit.propagator.attention.qkv_bias = true;
        }),
        ("tiny-imagenet-perceiver-io", &|f| {
            f.model.perceiver_io.weight_tie_layers = true;
            f.model.perceiver_io.query_dim = Some(12);
        }),
    ];
    for (name, change) in changes {
        let mut file = ModelFile::from_toml(Preset::get(name).unwrap().text).unwrap();
        change(&mut file);
        check(name, &file);
    }
}
