//! The engine without libtorch computes what models on libtorch compute, for presets and for every option.

use nac_core::config::{InputSpec, ModelFile};
use nac_core::engine::{CoreEngine, Engine, EngineOptions, Input, Precision, Weights};
use nac_core::rng::Streams;
use nac_modules::engine::TorchEngine;
use nac_modules::params::ParamStore;
use nac_modules::presets::BuildModel;
use ndarray::{Array2, Array4};
use tch::{Device, Kind};

/// Weights as a fresh model has them, none of them zero or one.
fn weights(file: &ModelFile) -> Weights {
    let model = file
        .build(ParamStore::new(Device::Cpu, Kind::Float, 7))
        .unwrap();
    let streams = Streams::new(5);
    let mut weights = Weights::new();
    for (name, tensor) in model.params().export().unwrap() {
        let shape: Vec<usize> = tensor.size().iter().map(|&d| d as usize).collect();
        let mut values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
        let mut noise = vec![0.0_f32; values.len()];
        streams.stream(&name).fill_normal(&mut noise);
        let is_bandwidth = name.ends_with("bandwidth");
        for (value, noise) in values.iter_mut().zip(noise).filter(|_| !is_bandwidth) {
            *value += 0.02 * noise;
        }
        weights.insert(name, &shape, values).unwrap();
    }
    weights
}

enum Batch {
    Image(Array4<f32>),
    Tokens(Array2<i64>),
}

impl Batch {
    fn new(spec: InputSpec, batch: usize) -> Self {
        match spec {
            InputSpec::Image {
                channels,
                height,
                width,
            } => {
                let mut values = vec![0.0_f32; batch * channels * height * width];
                Streams::new(3).stream("image").fill_normal(&mut values);
                Self::Image(
                    Array4::from_shape_vec((batch, channels, height, width), values).unwrap(),
                )
            }
            InputSpec::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Self::Tokens(Array2::from_shape_fn((batch, max_len), |(i, j)| {
                if j > max_len / 2 + i {
                    pad
                } else {
                    ((7 * i + 3 * j) % vocabulary) as i64
                }
            })),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Image(image) => Input::Image(image.view()),
            Self::Tokens(tokens) => Input::Tokens(tokens.view()),
        }
    }
}

/// Largest difference of logits, as a share of the largest logit.
fn difference(file: &ModelFile, precision: Precision, batch: usize) -> f32 {
    let weights = weights(file);
    let options = EngineOptions {
        threads: 2,
        precision,
        ..Default::default()
    };
    let core = CoreEngine::new(file.clone(), &weights, options).unwrap();
    let torch = TorchEngine::new(file.clone(), &weights, Device::Cpu).unwrap();
    let batch = Batch::new(file.input, batch);
    let (found, expected) = (
        core.infer(batch.input()).unwrap(),
        torch.infer(batch.input()).unwrap(),
    );
    let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let error = (&found - &expected)
        .iter()
        .fold(0.0_f32, |m, x| m.max(x.abs()));
    assert!(largest > 1e-3 && largest.is_finite());
    error / largest
}

fn small() -> ModelFile {
    ModelFile::from_toml(
        r#"
        classes = 5
        [input]
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
        [model.circuit.read_out]
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

#[test]
fn small_models_agree() {
    let mut file = small();
    let error = difference(&file, Precision::F32, 3);
    assert!(error < 1e-5, "{error}");
    file.model.kind = nac_core::config::ModelKind::PerceiverIo;
    let error = difference(&file, Precision::F32, 3);
    assert!(error < 1e-5, "{error}");
}

#[test]
fn reduced_precision_stays_near() {
    let mut file = small();
    for kind in [
        nac_core::config::ModelKind::Nac,
        nac_core::config::ModelKind::PerceiverIo,
    ] {
        file.model.kind = kind;
        for (precision, least, most) in
            [(Precision::Bf16, 1e-5, 0.03), (Precision::Int8, 1e-4, 0.06)]
        {
            let error = difference(&file, precision, 5);
            assert!(
                (least..most).contains(&error),
                "{kind} {precision:?}: {error}"
            );
        }
    }
}
