//! Settings of a circuit generator with free parameters.

use serde::{Deserialize, Serialize};

use super::{LatentsConfig, SeederConfig};

/// Settings of a free generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeGeneratorConfig {
    /// Processor modules.
    pub modules: usize,
    /// Separate read-in modules; `None` if the processors read.
    #[serde(default)]
    pub read_in_modules: Option<usize>,
    /// Read-out modules.
    pub read_out_modules: usize,
    /// Dimension of states.
    pub state_dim: usize,
    /// Dimension of codes; `None` if it is that of states.
    #[serde(default)]
    pub code_dim: Option<usize>,
    /// Dimension of signatures.
    pub signature_dim: usize,
    /// Number of codes of each processor, one per propagator; `None` for one code for all.
    #[serde(default)]
    pub code_layers: Option<usize>,
    /// Whether processors take the states of the read-in over, so that they need no initial states.
    pub read_in_states_become_processors: bool,
    /// Initial states.
    #[serde(default)]
    pub seeder: SeederConfig,
    /// Read-in modules.
    #[serde(default)]
    pub read_in: LatentsConfig,
    /// Processor modules.
    #[serde(default)]
    pub processors: LatentsConfig,
    /// Read-out modules.
    #[serde(default)]
    pub read_out: LatentsConfig,
}

impl FreeGeneratorConfig {
    /// The final configuration with these sizes: as many read-in modules as processors.
    pub fn new(
        modules: usize,
        read_out_modules: usize,
        state_dim: usize,
        signature_dim: usize,
    ) -> Self {
        Self {
            modules,
            read_in_modules: Some(modules),
            read_out_modules,
            state_dim,
            code_dim: None,
            signature_dim,
            code_layers: None,
            read_in_states_become_processors: true,
            seeder: SeederConfig::default(),
            read_in: LatentsConfig::default(),
            processors: LatentsConfig::default(),
            read_out: LatentsConfig::default(),
        }
    }
}
