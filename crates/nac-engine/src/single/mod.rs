//! Single layers on plain arrays, for comparison with other implementations.
//!
//! The layer is built from its tensors by their names and runs on the same blocks and kernels as a whole model. What a model computes at loading, from codes, signatures or fixed states, is computed here for each
//! example that differs.
//!
//! ```
//! use nac_core::model::ModFcConfig;
//! use nac_core::model::spec::{ProjectionSpec, Surroundings};
//! use nac_engine::ModelWeights;
//! use nac_engine::single::SingleLayer;
//! use ndarray::array;
//!
//! let mut weights = ModelWeights::new();
//! weights.insert("native_weight", &[1, 2], vec![3.0, 4.0])?;
//! weights.insert("scale.weight", &[2, 1], vec![0.5, 0.5])?;
//! weights.insert("scale_gain", &[], vec![1.0])?;
//! let layer = SingleLayer::new(&weights);
//! let (x, code) = (array![[[1.0, 2.0]]], array![[[2.0]]]);
//! let mod_fc = ModFcConfig::default();
//! let spec = ProjectionSpec::new(&Surroundings::new(2, 1, &mod_fc), "", (2, 1), false)?;
//! let y = layer.projection(&spec, x.view(), code.view())?;
//! assert_eq!(y, array![[[11.0]]]); // a layer norm of two equal numbers is zero
//! # Ok::<(), nac_engine::EngineError>(())
//! ```

mod between;
mod circuit;
mod example;
mod feed_forward;
mod head;
mod links;
mod modules;
mod projection;
mod read_in;
mod tokens;

pub use example::ModuleArrays;
pub use modules::ModuleSet;

use super::backend::{Backend, Precision};
use super::weights::ModelWeights;

/// A layer in evaluation, by its tensors.
#[derive(Debug, Clone)]
pub struct SingleLayer<'w> {
    weights: &'w ModelWeights,
    precision: Precision,
}

impl<'w> SingleLayer<'w> {
    /// The layer with these tensors, under the names that they have below the layer's own in a model's file. All of
    /// them must belong to the layer.
    #[must_use]
    pub fn new(weights: &'w ModelWeights) -> Self {
        Self {
            weights,
            precision: Precision::default(),
        }
    }

    /// Precision of matrix products.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    fn backend(&self) -> Backend {
        Backend::new(self.precision)
    }
}
