//! Result of a forward pass.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::attention::SignatureGraph;
use crate::circuit::CircuitOutput;
use crate::error::Result;

/// Result of a forward pass.
#[derive(Debug)]
pub struct ModelOutput {
    /// Class scores, `[batch, classes]`.
    pub logits: Tensor,
    /// The circuit that was used; `None` for a model without, such as the baseline.
    pub circuit: Option<CircuitOutput>,
    /// Tensors that layers recorded, by name; empty unless the context asked for them.
    pub intermediates: BTreeMap<String, Tensor>,
}

impl ModelOutput {
    /// Logits alone.
    pub fn new(logits: Tensor) -> Self {
        Self {
            logits,
            circuit: None,
            intermediates: BTreeMap::new(),
        }
    }

    /// The graphs between the processors; none for a model without a circuit.
    pub fn graphs(&self) -> impl Iterator<Item = SignatureGraph<'_>> {
        self.circuit.iter().flat_map(CircuitOutput::graphs)
    }

    /// Softmax of the logits, in single precision at least.
    ///
    /// # Shapes
    /// - output: `[batch, classes]`
    ///
    /// # Errors
    /// libtorch fails.
    pub fn probabilities(&self) -> Result<Tensor> {
        let kind = match self.logits.kind() {
            Kind::Double => Kind::Double,
            _ => Kind::Float,
        };
        Ok(self.logits.f_softmax(-1, kind)?)
    }

    /// The class of greatest score of each example.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn classes(&self) -> Result<Vec<i64>> {
        Ok(Vec::try_from(self.logits.f_argmax(-1, false)?)?)
    }
}
