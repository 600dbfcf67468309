//! [`Optimizer`]: from gradients to new weights.

use std::collections::BTreeMap;

use nac_modules::params::ParamStore;
use tch::Tensor;

use super::clip::scale;
use crate::error::{Result, TrainError};

/// Changes parameters by their gradients. Implement it to add your own; see the example `custom_trainer`.
pub trait Optimizer {
    /// Name, such as `adamw`. A checkpoint of another optimizer is refused.
    fn name(&self) -> &str;

    /// One step: `gradients[i]` is the gradient of the `i`-th of
    /// [`parameters.parameters()`](ParamStore::parameters), an undefined tensor where there is none.
    ///
    /// # Errors
    /// There is not one gradient for each parameter, these are not the parameters of earlier steps, or libtorch fails.
    fn step(
        &mut self,
        parameters: &ParamStore,
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<()>;

    /// [`step`](Self::step) with all gradients multiplied by `factor`, of clipping; the gradients may be changed.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    fn step_scaled(
        &mut self,
        parameters: &ParamStore,
        gradients: &mut [Tensor],
        factor: f64,
        learning_rate: f64,
    ) -> Result<()> {
        scale(gradients, factor)?;
        self.step(parameters, gradients, learning_rate)
    }

    /// What must be saved so that a resumed run goes on bit for bit, on the CPU. Default nothing.
    ///
    /// # Errors
    /// libtorch fails to copy.
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// Takes back what [`state`](Self::state) gave. Nothing is changed unless all of it fits. Default: refuses a state.
    ///
    /// # Errors
    /// [`TrainError::State`] if the state does not fit the parameters.
    fn restore(&mut self, parameters: &ParamStore, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let _ = parameters;
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(TrainError::State(format!(
                "optimizer {} has no state, found {name}",
                self.name()
            ))),
        }
    }
}

/// Changes nothing: measures losses and gradients of a model as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Frozen;

impl Optimizer for Frozen {
    fn name(&self) -> &str {
        "frozen"
    }

    fn step(&mut self, _: &ParamStore, _: &[Tensor], _: f64) -> Result<()> {
        Ok(())
    }
}
