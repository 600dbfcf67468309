//! What several benchmarks need: models of the sizes that are measured.
//!
//! `cargo bench -p nac-benches` runs all; `cargo bench -p nac-benches -- read_in` those whose name contains a word.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod count;
pub mod measure;
pub mod naive;

use nac_core::rng::Streams;
use nac_modules::Result;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::{InputSpec, Inputs, Model, ModelConfig, ModelKind, build_model};
use nac_modules::params::ParamStore;
use tch::{Device, Kind, Tensor};

/// Image input of the small models, `[batch, 3, 32, 32]`.
pub const SMALL_IMAGE: InputSpec = InputSpec::Image {
    channels: 3,
    height: 32,
    width: 32,
};

/// A circuit of 32 modules, or the baseline of about as many parameters.
///
/// # Errors
/// A setting is out of range.
pub fn small_model(kind: ModelKind) -> Result<Box<dyn Model>> {
    let mut config = ModelConfig {
        kind,
        ..Default::default()
    };
    config.convnext.dims = vec![64];
    config.convnext.depths = vec![1];
    config.convnext.grid_dim = 16;
    let circuit = &mut config.circuit;
    (
        circuit.modules,
        circuit.read_out_modules,
        circuit.state_dim,
        circuit.propagators,
    ) = (32, 8, 64, 4);
    (
        circuit.propagator.attention.heads,
        circuit.propagator.attention.head_dim,
    ) = (4, 16);
    let baseline = &mut config.perceiver_io;
    (baseline.latents, baseline.latent_dim, baseline.depth) = (32, 128, 4);
    (baseline.latent_heads, baseline.head_dim) = (4, 16);
    build_model(
        ParamStore::new(Device::Cpu, Kind::Float, 0),
        &config,
        SMALL_IMAGE,
        10,
    )
}

/// Random images for [`SMALL_IMAGE`] with labels, `[batch]`.
pub fn small_batch(batch: i64) -> (Inputs, Tensor) {
    tch::manual_seed(0);
    let image = Tensor::randn([batch, 3, 32, 32], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, [batch], (Kind::Int64, Device::Cpu));
    (Inputs::new().with("image", image), labels)
}

/// Logits in evaluation mode.
///
/// # Errors
/// The inputs do not fit the model.
pub fn infer(model: &dyn Model, inputs: &Inputs) -> Result<Tensor> {
    let mut noise = StreamNoise::new(Streams::new(0));
    tch::no_grad(|| {
        Ok(model
            .forward(inputs, &mut ForwardContext::evaluation(&mut noise))?
            .logits)
    })
}

/// Forward and backward pass in training mode; the gradients are thrown away.
///
/// # Errors
/// The inputs do not fit the model.
pub fn forward_backward(model: &dyn Model, inputs: &Inputs, labels: &Tensor) -> Result<()> {
    let mut noise = StreamNoise::new(Streams::new(0));
    let output = model.forward(inputs, &mut ForwardContext::training(&mut noise))?;
    output
        .logits
        .cross_entropy_for_logits(labels)
        .f_backward()?;
    for (_, parameter) in model.params().parameters() {
        parameter.shallow_clone().zero_grad();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_models_run_both_ways() {
        for kind in [ModelKind::Nac, ModelKind::PerceiverIo] {
            let model = small_model(kind).expect("the benchmark's model builds");
            let (inputs, labels) = small_batch(2);
            assert_eq!(
                infer(model.as_ref(), &inputs).expect("runs").size(),
                [2, 10]
            );
            forward_backward(model.as_ref(), &inputs, &labels).expect("runs backward");
        }
    }
}
