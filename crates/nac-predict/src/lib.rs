//! Predictions of trained models for single files, without libtorch.
//!
//! ```text
//! files, texts ─► nac-data's preprocess ─► batches ─► an engine ─► class names and confidences, or values
//! ```
//!
//! [`Predictor`] does that with what an export holds: settings, weights, names of the classes, and how files become
//! inputs. It takes any [`Engine`](nac_engine::Engine); [`Predictor::load`] takes nac-engine's. The program
//! `nac-predict` and the command `nac predict` share `program`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod arrays;
mod error;
mod predictor;
#[cfg(feature = "program")]
pub mod program;

pub use answer::{Answer, ClassConfidence};
pub use arrays::arrays;
pub use error::{PredictError, Result};
pub use predictor::{Given, Predictor, SETTINGS_FILE, WEIGHTS_FILE};

/// The Rust on the page for people, compiled as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
