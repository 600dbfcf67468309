//! `[signature_fit]`: graphs that initial signatures are fitted to.

use nac_core::graph::signature_fit::SignatureFitConfig;
use nac_modules::generator::ModuleGroup;
use serde::{Deserialize, Serialize};

/// Fits of the sets of modules; a set without one starts as `model.circuit` says. They matter at the start
/// of a run only. Reference: `graph_preset` and `graph_generator_kwargs` of each set of latents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureFits {
    /// Read-in modules. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_in: Option<SignatureFitConfig>,
    /// Processors. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processors: Option<SignatureFitConfig>,
    /// Read-out modules. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_out: Option<SignatureFitConfig>,
}

impl SignatureFits {
    /// Whether no set has a fit.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The fits with their sets.
    pub fn iter(&self) -> impl Iterator<Item = (ModuleGroup, &SignatureFitConfig)> {
        let fits = [&self.read_in, &self.processors, &self.read_out];
        let all = ModuleGroup::ALL.into_iter().zip(fits);
        all.filter_map(|(group, fit)| Some((group, fit.as_ref()?)))
    }
}
