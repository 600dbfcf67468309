//! Adds a tokenizer: flat patches of an image, each through one linear layer.
//!
//! All it takes is a type that implements `Tokenizer`; the circuit takes any. The program runs one
//! training pass on random images and checks shapes and gradients.
//!
//! Run with `cargo run -p nac-modules --example custom_tokenizer`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use nac_core::Streams;
use nac_modules::circuit::CircuitConfig;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::layer::Linear;
use nac_modules::model::{Inputs, Model, NeuralCircuit};
use nac_modules::params::{Init, ParamStore, Scope};
use nac_modules::tokenizer::Tokenizer;
use nac_modules::{Result, Tokens};
use tch::{Device, Kind, Tensor};

/// Patches of 4×4 pixels. Reads the input `image`, `[batch, 3, 32, 32]`.
struct Patches {
    project: Linear,
    positions: Tensor,
}

impl Patches {
    fn new(mut scope: Scope<'_>) -> Result<Self> {
        let start = Init::Normal { std: 0.02 };
        let positions = scope.parameter("positions", &[64, 48], start)?;
        let project = Linear::new(scope.sub("project"), 3 * 4 * 4, 48, true)?;
        Ok(Self { project, positions })
    }
}

impl Tokenizer for Patches {
    fn token_dim(&self) -> usize {
        48
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let image = inputs.get("image")?;
        let patches = image.f_im2col([4, 4], [1, 1], [0, 0], [4, 4])?; // [batch, 3·4·4, 64]
        let tokens = self.project.forward(&patches.transpose(1, 2))?; // [batch, 64, 48]
        let tokens = tokens.f_add(&self.positions)?;
        ctx.record("tokens", &tokens);
        Tokens::new(tokens)
    }
}

fn main() -> Result<()> {
    let mut config = CircuitConfig::default();
    (config.modules, config.read_out_modules) = (16, 4);
    (config.state_dim, config.signature_dim, config.propagators) = (32, 16, 2);
    let store = ParamStore::new(Device::Cpu, Kind::Float, 42);
    let tokenizer =
        |scope: Scope<'_>| -> Result<Box<dyn Tokenizer>> { Ok(Box::new(Patches::new(scope)?)) };
    let model = NeuralCircuit::new(store, &config, 10, tokenizer)?;

    let mut pixels = vec![0.0_f32; 2 * 3 * 32 * 32];
    Streams::new(7).stream("images").fill_normal(&mut pixels);
    let image = Tensor::from_slice(&pixels).view([2, 3, 32, 32]);
    let mut noise = StreamNoise::new(Streams::new(42).child("step 0"));
    let mut ctx = ForwardContext::training(&mut noise).with_intermediates();
    let output = model.forward(&Inputs::image(image), &mut ctx)?;
    println!("logits {:?}", output.logits.size());
    assert_eq!(output.logits.size(), [2, 10]);
    assert_eq!(output.intermediates["tokens"].size(), [2, 64, 48]);

    let labels = Tensor::from_slice(&[3_i64, 8]);
    output.logits.cross_entropy_for_logits(&labels).backward();
    for (name, parameter) in model.params().parameters() {
        let gradient = parameter.grad();
        if name.starts_with("input_tokenizer") {
            println!("{name}: gradient {:?}", gradient.size());
            assert_eq!(gradient.size(), parameter.size());
            assert!(gradient.norm().double_value(&[]) > 0.0);
            assert_eq!(gradient.isfinite().all().int64_value(&[]), 1);
        }
    }
    Ok(())
}
