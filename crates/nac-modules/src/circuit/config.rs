//! Settings of a whole circuit.

use serde::{Deserialize, Serialize};

use super::{PropagatorConfig, ReadInConfig, ReadOutConfig};
use crate::generator::FreeGeneratorConfig;
use crate::layer::ModFcConfig;

/// Sizes and settings of a circuit in the paper's final configuration: read-in modules become the
/// processors, processors talk through unshared propagators, read-out modules gather the result.
///
/// Defaults are the released ImageNet configuration ("CHONKER").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitConfig {
    /// Read-in modules, which become the processors. Default 640.
    pub modules: usize,
    /// Read-out modules. Default 64.
    pub read_out_modules: usize,
    /// Dimension of states and codes. Default 384.
    pub state_dim: usize,
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
    /// Settings of the read-out.
    pub read_out: ReadOutConfig,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            modules: 640,
            read_out_modules: 64,
            state_dim: 384,
            signature_dim: 64,
            propagators: 8,
            drop_path: 0.0,
            mod_fc: ModFcConfig::default(),
            read_in: ReadInConfig::default(),
            propagator: PropagatorConfig::default(),
            read_out: ReadOutConfig::default(),
        }
    }
}

impl CircuitConfig {
    /// Sizes of the free generator that goes with the circuit.
    pub fn generator(&self) -> FreeGeneratorConfig {
        FreeGeneratorConfig {
            modules: self.modules,
            read_out_modules: self.read_out_modules,
            state_dim: self.state_dim,
            signature_dim: self.signature_dim,
        }
    }
}
