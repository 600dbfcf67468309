//! Loss terms, behind a trait. The loss is the sum of weight × term.

mod circuit_spread;
mod cross_entropy;
mod graph_prior;
mod mean_squared_error;
mod mixture;
mod module_groups;
mod reduction;
mod signature_distribution;
mod signature_repulsion;

use std::collections::BTreeMap;

use nac_modules::model::{Model, ModelOutput};
use tch::Tensor;

pub use circuit_spread::CircuitSpread;
pub use cross_entropy::CrossEntropy;
pub use graph_prior::{GraphPriorLoss, Matching, PriorDistance, PriorLoss, match_modules};
pub use mean_squared_error::MeanSquaredError;
pub use mixture::{Mixture, MixtureError};
pub use module_groups::ModuleGroups;
pub use reduction::Reduction;
pub use signature_distribution::{SignatureDistribution, mixture_nll};
pub use signature_repulsion::{SignatureRepulsion, repulsion};

use crate::error::Result;

/// What a loss term may look at.
pub struct LossContext<'a> {
    /// What the model gave, attached to its parameters: logits, and the circuit that was used.
    pub output: &'a ModelOutput,
    /// Classes, `[batch]`, integers, or values, `[batch, dim]`, floats.
    pub targets: &'a Tensor,
    /// The model, for terms on its parameters.
    pub model: &'a dyn Model,
    /// Step, counted from 0.
    pub step: u64,
}

impl std::fmt::Debug for LossContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LossContext")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// One term of the loss. Implement it to add one; see the example `custom_loss`.
pub trait LossTerm {
    /// Name in the metrics; different for each term of a run.
    fn name(&self) -> &str;

    /// Factor of the term in the sum. Default 1.
    fn weight(&self) -> f64 {
        1.0
    }

    /// Sets how much of the run is done, from 0 to 1, before each [`compute`](Self::compute) of a run, for
    /// weights that change. Default: ignored.
    fn set_progress(&mut self, progress: f64) {
        let _ = progress;
    }

    /// Value of the term, before the weight.
    ///
    /// # Shapes
    /// - output: `[]`, differentiable
    ///
    /// # Errors
    /// The term cannot be computed for this model or batch.
    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor>;

    /// What must be saved so that a resumed run goes on bit for bit. Default nothing.
    fn state(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::new()
    }

    /// Restores what [`state`](Self::state) returned.
    ///
    /// # Errors
    /// The state does not fit.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let _ = state;
        Ok(())
    }
}
