//! `[signature_presets]`: graphs that initial signatures are fitted to.

use nac_core::graph::preset::PresetConfig;
use serde::{Deserialize, Serialize};

/// Presets of the sets of modules; a set without one starts as `model.circuit` says. They matter at the start
/// of a run only. Reference: `graph_preset` and `graph_generator_kwargs` of each set of latents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignaturePresets {
    /// Read-in modules. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PresetConfig>,
    /// Processors. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mediator: Option<PresetConfig>,
    /// Read-out modules. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PresetConfig>,
}

impl SignaturePresets {
    /// Whether no set has a preset.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The presets with the names of their sets.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &PresetConfig)> {
        let sets = [
            ("input", &self.input),
            ("mediator", &self.mediator),
            ("output", &self.output),
        ];
        sets.into_iter()
            .filter_map(|(set, preset)| Some((set, preset.as_ref()?)))
    }
}
