//! Layers and circuits of Neural Attentive Circuits (NAC, arXiv 2210.08031) on libtorch.
//!
//! ```text
//! inputs ──► tokenizer ──► read-in ──► propagator × L ──► read-out ──► confidence pooling ──► logits
//!                             ▲             ▲                 ▲
//! inputs ─► circuit generator: signatures (which module attends to which), codes (what each computes), initial states
//! ```
//!
//! - [`params`]: parameters under unique dotted names, with seeded initial values.
//! - [`tokenizer`], [`generator`], [`circuit`], [`head`]: the boxes above; [`model`] joins them.
//! - [`attention`], [`layer`]: what the boxes are made of.
//! - [`baseline`]: Perceiver IO, the paper's control.
//! - [`presets`]: models by name.
//! - [`prelude`]: what most programs need, in one line;
//! - [`context`]: mode, noise and named intermediates of a forward pass; [`tape`]: training in little memory;
//!   [`fused`]: training on nac-engine's kernels.
//!
//! Modules are the paper's modules; `[batch, modules, dim]` is the usual shape of their states.
//!
//! ```
//! use nac_modules::prelude::*;
//!
//! let circuit = CircuitConfig { modules: 16, state_dim: 32, propagators: 2, ..Default::default() };
//! let config = ModelConfig { circuit, ..Default::default() };
//! let model = build_model(ParamStore::cpu(42), &config, &InputSpec::image(3, 32, 32), &OutputSpec::classes(10))?;
//!
//! let image = Tensor::zeros([4, 3, 32, 32], (Kind::Float, Device::Cpu));
//! let output = model.predict(&Inputs::image(image))?;
//! assert_eq!(output.logits.size(), [4, 10]);
//! println!("{:?}: {}", output.classes()?, output.probabilities()?);
//! # Ok::<(), ModuleError>(())
//! ```
//!
//! This crate links libtorch 2.11.0 through `tch` 0.24. To get it: `cargo install nac-setup && nac-setup`, and
//! `nac-setup project` in the folder of your project.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attention;
mod autocast;
pub mod baseline;
mod cached;
pub mod circuit;
pub mod context;
pub mod device;
mod error;
pub mod fused;
pub mod generator;
pub mod head;
mod inputs;
pub mod layer;
pub mod model;
pub mod params;
pub mod prelude;
pub mod presets;
mod shape;
pub mod tape;
pub mod testing;
pub mod tokenizer;
mod tokens;

pub use autocast::autocast_bf16;
pub use error::{ModuleError, Result};
pub use tokens::Tokens;
