//! What is counted of a part of a model, and which way of computing it.

use clap::ValueEnum;
use serde::Serialize;

use super::product::Work;

/// Way of computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// As the authors' code.
    Reference,
    /// After exact algebra.
    Folded,
}

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Name, such as `propagators ffn` (all propagators together).
    pub name: &'static str,
    /// Work for each image.
    pub per_image: Work,
    /// Work that does not depend on the input: at every call in the reference, once for a model after folding
    /// (once a step in training).
    pub per_call: Work,
}

impl Stage {
    pub(super) fn of_images(name: &'static str, per_image: Work) -> Self {
        Self {
            name,
            per_image,
            per_call: Work::default(),
        }
    }

    pub(super) fn of_calls(name: &'static str, per_call: Work) -> Self {
        Self {
            name,
            per_image: Work::default(),
            per_call,
        }
    }
}
