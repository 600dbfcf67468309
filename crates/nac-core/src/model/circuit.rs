//! Settings of a whole circuit.

use serde::{Deserialize, Serialize};

use super::{
    ConfigError, HeadConfig, HeadKind, LatentsConfig, ModFcConfig, PropagatorConfig, ReadInConfig,
    ReadInSends, ReadOutConfig, SeederConfig, WiringConfig,
};

/// Sizes and settings of a circuit.
///
/// Defaults are the released ImageNet configuration ("CHONKER") of the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitConfig {
    /// Processors. Default 640.
    pub modules: usize,
    /// Read-in modules; as many as processors if not set. Default not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_in_modules: Option<usize>,
    /// Read-out modules. Default 64.
    pub read_out_modules: usize,
    /// Dimension of states. Default 384.
    pub state_dim: usize,
    /// Dimension of codes; that of states if not set. Default not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_dim: Option<usize>,
    /// Dimension of signatures. Default 64.
    pub signature_dim: usize,
    /// Propagators, each with its own weights. Default 8.
    pub propagators: usize,
    /// Probability of dropping a residual branch in training. Default 0.
    pub drop_path: f64,
    /// Settings of every ModFC layer.
    pub mod_fc: ModFcConfig,
    /// Settings of the read-in.
    pub read_in: ReadInConfig,
    /// Settings of every propagator.
    pub propagator: PropagatorConfig,
    /// Settings of each propagator in order, instead of `propagator`; as many as there are propagators, or
    /// none. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub propagator_layers: Vec<PropagatorConfig>,
    /// Settings of the read-out.
    pub read_out: ReadOutConfig,
    /// Which modules attend to which.
    pub wiring: WiringConfig,
    /// Initial states.
    pub seeder: SeederConfig,
    /// Signatures and codes of read-in modules.
    pub read_in_latents: LatentsConfig,
    /// Signatures and codes of processors.
    pub processor_latents: LatentsConfig,
    /// Signatures and codes of read-out modules.
    pub read_out_latents: LatentsConfig,
    /// From the states of the read-out modules to logits.
    pub head: HeadConfig,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            modules: 640,
            read_in_modules: None,
            read_out_modules: 64,
            state_dim: 384,
            code_dim: None,
            signature_dim: 64,
            propagators: 8,
            drop_path: 0.0,
            mod_fc: ModFcConfig::default(),
            read_in: ReadInConfig::default(),
            propagator: PropagatorConfig::default(),
            propagator_layers: Vec::new(),
            read_out: ReadOutConfig::default(),
            wiring: WiringConfig::default(),
            seeder: SeederConfig::default(),
            read_in_latents: LatentsConfig::default(),
            processor_latents: LatentsConfig::default(),
            read_out_latents: LatentsConfig::default(),
            head: HeadConfig::default(),
        }
    }
}

impl CircuitConfig {
    /// Number of read-in modules, if they are not the processors.
    pub fn separate_readers(&self) -> Option<usize> {
        let count = self.read_in_modules.unwrap_or(self.modules);
        self.wiring.separate_read_in_modules.then_some(count)
    }

    /// Dimension of codes.
    pub fn code_dim(&self) -> usize {
        self.code_dim.unwrap_or(self.state_dim)
    }

    /// Settings of the propagator at `layer`.
    pub fn propagator_at(&self, layer: usize) -> &PropagatorConfig {
        self.propagator_layers
            .get(layer)
            .unwrap_or(&self.propagator)
    }

    /// Refuses combinations that make no sense.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] with the first such combination, by the name of a setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name: &str, value: String, reason: &str| {
            Err(ConfigError::Setting {
                name: format!("circuit.{name}"),
                value,
                reason: reason.into(),
            })
        };
        let layers = self.propagator_layers.len();
        if self.propagators == 0 {
            return refuse("propagators", "0".into(), "must be at least 1");
        }
        if layers != 0 && layers != self.propagators {
            let reason = "must have one entry for each propagator, or none";
            return refuse("propagator_layers", format!("{layers} entries"), reason);
        }
        let wiring = &self.wiring;
        let read_in = self.read_in_modules.unwrap_or(self.modules);
        if wiring.read_in_states_become_processors && read_in != self.modules {
            let reason = "must equal `modules`, since their states become the processors'";
            return refuse("read_in_modules", read_in.to_string(), reason);
        }
        let sends = wiring.read_in_sends_to_processors != ReadInSends::Never
            || wiring.read_in_sends_to_read_out;
        if !wiring.separate_read_in_modules && (sends || !wiring.read_in_states_become_processors) {
            let reason = "without separate read-in modules, processors must take over the states that \
                were read, and there is nobody else to attend to";
            return refuse("wiring.separate_read_in_modules", "false".into(), reason);
        }
        if !wiring.read_in_states_become_processors && !sends && !wiring.allow_disconnected {
            let reason = "the input would not reach the logits: processors must take over the states of \
                the read-in, or processors or read-out modules must attend to it (or set \
                `wiring.allow_disconnected`)";
            let name = "wiring.read_in_states_become_processors";
            return refuse(name, "false".into(), reason);
        }
        if self.head.kind == HeadKind::FirstSlot && !self.read_out.use_head {
            let reason =
                "needs `read_out.use_head`, which makes outputs of as many features as classes";
            return refuse("head.kind", "first_slot".into(), reason);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_wirings_are_refused() {
        let refused = |change: &dyn Fn(&mut CircuitConfig), word: &str| {
            let mut config = CircuitConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(&|c| c.propagators = 0, "circuit.propagators");
        refused(&|c| c.read_in_modules = Some(5), "circuit.read_in_modules");
        let two = |c: &mut CircuitConfig| c.propagator_layers = vec![Default::default(); 2];
        refused(&two, "circuit.propagator_layers");
        let cut = |c: &mut CircuitConfig| c.wiring.read_in_states_become_processors = false;
        refused(&cut, "would not reach the logits");
        let no_reader = |c: &mut CircuitConfig| {
            c.wiring.separate_read_in_modules = false;
            c.wiring.read_in_sends_to_read_out = true;
        };
        refused(&no_reader, "separate_read_in_modules");
        let first = |c: &mut CircuitConfig| c.head.kind = HeadKind::FirstSlot;
        refused(&first, "read_out.use_head");
        let mut config = CircuitConfig::default();
        cut(&mut config);
        config.wiring.allow_disconnected = true;
        config.check().unwrap();
    }
}
