//! Both engines with the same weights on the same inputs.

use nac_core::model::ModelFile;
use nac_core::rng::Streams;
use nac_engine::{CoreEngine, Engine, EngineOptions, ModelWeights, Precision, RandomInputs};
use nac_modules::params::ParamStore;
use nac_modules::presets::BuildModel;
use nac_train::TorchEngine;
use ndarray::Array2;
use tch::{Device, Kind};

/// Largest difference of logits that passes, as a share of the largest logit: rounding in another order.
pub(crate) const ROUNDING: f32 = 1e-5;

/// A circuit and a Perceiver IO with no two sizes alike and none a multiple of a block.
pub(crate) fn small() -> ModelFile {
    ModelFile::from_toml(
        r#"
        [output]
        classes = 5
        [inputs.image]
        kind = "image"
        channels = 3
        height = 24
        width = 20
        [model.convnext]
        depths = [1, 1]
        dims = [12, 20]
        stem_patch = 2
        grid_dim = 6
        layer_scale = 0.5
        [model.circuit]
        modules = 41
        read_out_modules = 7
        state_dim = 24
        signature_dim = 6
        propagators = 3
        [model.circuit.read_in.attention]
        head_dim = 12
        [model.circuit.propagator.attention]
        heads = 3
        head_dim = 12
        [model.circuit.read_out.attention]
        head_dim = 10
        [model.perceiver_io]
        depth = 2
        latents = 35
        latent_dim = 20
        cross_heads = 2
        latent_heads = 3
        head_dim = 12
        "#,
    )
    .unwrap()
}

/// The small model with a change.
pub(crate) fn with(change: impl FnOnce(&mut ModelFile)) -> ModelFile {
    let mut file = small();
    change(&mut file);
    file
}

/// Weights as a fresh model has them, none of them zero or one.
pub(crate) fn weights(file: &ModelFile) -> ModelWeights {
    let model = file
        .build(ParamStore::new(Device::Cpu, Kind::Float, 7))
        .unwrap();
    let streams = Streams::new(5);
    let store = model.params();
    let aliases: std::collections::BTreeMap<_, _> = store.aliases().collect();
    let mut weights = ModelWeights::new();
    for (name, tensor) in store.export().unwrap() {
        let shape: Vec<usize> = tensor.size().iter().map(|&d| d as usize).collect();
        let mut values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
        let mut noise = vec![0.0_f32; values.len()];
        let first = aliases.get(name.as_str()).copied().unwrap_or(&name);
        streams.stream(first).fill_normal(&mut noise);
        let is_bandwidth = name.ends_with("bandwidth");
        // Gates start closed.
        let size = if name.ends_with("gate") { 0.5 } else { 0.02 };
        for (value, noise) in values.iter_mut().zip(noise).filter(|_| !is_bandwidth) {
            *value += size * noise;
        }
        weights.insert(name, &shape, values).unwrap();
    }
    weights
}

/// nac-engine's engine.
pub(crate) fn core(file: &ModelFile, threads: usize, precision: Precision) -> CoreEngine {
    let options = EngineOptions {
        threads,
        precision,
        ..Default::default()
    };
    CoreEngine::new(file.clone(), &weights(file), options).unwrap()
}

/// Largest difference between two engines, as a share of the largest logit.
pub(crate) fn distance(found: &Array2<f32>, expected: &Array2<f32>) -> f32 {
    let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    assert!(largest > 1e-3 && largest.is_finite());
    let error = (found - expected)
        .iter()
        .fold(0.0_f32, |m, x| m.max(x.abs()));
    error / largest
}

/// Largest difference of logits between both engines, as a share of the largest logit.
pub(crate) fn difference(file: &ModelFile, precision: Precision, batch: usize) -> f32 {
    let core = core(file, 2, precision);
    let torch = TorchEngine::new(file.clone(), &weights(file), Device::Cpu).unwrap();
    let batch = RandomInputs::new(&file.inputs, batch, 3);
    let inputs = batch.all();
    let (found, expected) = (core.infer(&inputs).unwrap(), torch.infer(&inputs).unwrap());
    distance(&found, &expected)
}

/// Both engines agree on the small model with each change.
pub(crate) fn agree<F: Fn(&mut ModelFile)>(changes: &[(&str, F)]) {
    for (name, change) in changes {
        let error = difference(&with(change), Precision::F32, 3);
        assert!(error < ROUNDING, "{name}: {error}");
    }
}
