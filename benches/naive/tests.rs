//! The transcription and our layers give the same logits and the same gradients.

use nac_core::rng::Streams;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::{
    InputSpec, Inputs, Model, ModelConfig, ModelKind, OutputSpec, build_model,
};
use nac_modules::params::ParamStore;
use tch::{Device, Kind, Tensor};

use super::Naive;

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// A small model in double precision; every weight moved away from its start, so that none is without effect.
fn model(kind: ModelKind) -> (Box<dyn Model>, ModelConfig) {
    let mut config = ModelConfig {
        kind,
        ..Default::default()
    };
    (config.convnext.dims, config.convnext.grid_dim) = (vec![8, 12], 4);
    let circuit = &mut config.circuit;
    (circuit.modules, circuit.read_out_modules) = (11, 5);
    (circuit.state_dim, circuit.signature_dim) = (24, 6);
    circuit.propagators = 3;
    (
        circuit.propagator.attention.heads,
        circuit.propagator.attention.head_dim,
    ) = (Some(3), 4);
    (
        circuit.read_in.attention.heads,
        circuit.read_in.attention.head_dim,
    ) = (2, 5);
    (
        circuit.read_out.attention.heads,
        circuit.read_out.attention.head_dim,
    ) = (Some(2), 7);
    circuit.propagator.ffn.capacity_factor = 1.5;
    let baseline = &mut config.perceiver_io;
    (baseline.latents, baseline.latent_dim, baseline.depth) = (9, 24, 2);
    (baseline.latent_heads, baseline.head_dim) = (3, 4);
    baseline.ffn_multiplier = 2;
    let store = ParamStore::new(Device::Cpu, Kind::Double, 1);
    let input = InputSpec::image(3, 32, 24);
    let model = build_model(store, &config, &input, &OutputSpec::classes(7)).unwrap();
    tch::manual_seed(2);
    tch::no_grad(|| {
        for (_, tensor) in model.params().parameters() {
            let moved = tensor + tensor.randn_like() * 0.2;
            tensor.shallow_clone().copy_(&moved);
        }
    });
    (model, config)
}

/// Largest difference, relative to the largest entry. The gradient of the confidence's bias is zero by algebra.
fn error(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.size(), theirs.size());
    let worst = |x: &Tensor| x.abs().max().double_value(&[]);
    worst(&(ours - theirs)) / worst(theirs).max(1e-3)
}

/// Logits and the gradient of every parameter that has one.
fn run(model: &dyn Model, logits: impl FnOnce() -> Tensor) -> (Tensor, Vec<(String, Tensor)>) {
    let logits = logits();
    let weights = Tensor::linspace(-1.0, 2.0, logits.numel() as i64, DOUBLE).view_as(&logits);
    (&logits * weights).sum(Kind::Double).backward();
    let mut gradients = Vec::new();
    for (name, parameter) in model.params().parameters() {
        let mut gradient = parameter.grad();
        if gradient.defined() {
            gradients.push((name.to_owned(), gradient.copy()));
            let _ = gradient.zero_();
        }
    }
    (logits.detach(), gradients)
}

#[test]
fn logits_and_gradients_equal_those_of_our_layers() {
    for (kind, training) in [
        (ModelKind::Nac, false),
        (ModelKind::Nac, true),
        (ModelKind::PerceiverIo, true),
    ] {
        let (model, config) = model(kind);
        let naive = Naive::new(model.params(), &config).unwrap();
        let image = Tensor::randn([3, 3, 32, 24], DOUBLE);
        let inputs = Inputs::image(image.shallow_clone());
        let (ours, our_gradients) = run(model.as_ref(), || {
            let mut noise = StreamNoise::new(Streams::new(3));
            let mut ctx = if training {
                ForwardContext::training(&mut noise)
            } else {
                ForwardContext::evaluation().with_noise(&mut noise)
            };
            model.forward(&inputs, &mut ctx).unwrap().logits
        });
        let (theirs, their_gradients) = run(model.as_ref(), || {
            let mut noise = StreamNoise::new(Streams::new(3));
            naive.forward(&image, training, &mut noise).unwrap()
        });
        let worst = error(&ours, &theirs);
        assert!(
            worst < 1e-10,
            "{kind} training {training}: logits {worst:e}"
        );
        assert_eq!(our_gradients.len(), their_gradients.len());
        for ((name, ours), (other, theirs)) in our_gradients.iter().zip(&their_gradients) {
            assert_eq!(name, other);
            let worst = error(ours, theirs);
            assert!(
                worst < 1e-10,
                "{kind} training {training}: {name} {worst:e}"
            );
        }
    }
}

#[test]
fn samples_differ_between_passes_with_other_noise() {
    let (model, config) = model(ModelKind::Nac);
    let naive = Naive::new(model.params(), &config).unwrap();
    let image = Tensor::randn([2, 3, 32, 24], DOUBLE);
    let run = |seed, training| {
        let mut noise = StreamNoise::new(Streams::new(seed));
        naive.forward(&image, training, &mut noise).unwrap()
    };
    assert!(error(&run(1, true), &run(2, true)) > 1e-6);
    assert_eq!(run(1, false), run(2, false));
}

#[test]
fn other_configurations_are_refused() {
    let (model, mut config) = model(ModelKind::Nac);
    config.circuit.propagator.attention.share_layernorm = Some(false);
    let error = Naive::new(model.params(), &config).unwrap_err();
    assert!(error.to_string().contains("circuit"), "{error}");
}
