//! Settings of a run: a TOML file, changed by `key=value` overrides, checked once.
//!
//! [`load`] reads, [`RunConfig::check`] gives the [`ValidConfig`] that everything else takes.
//! [`DEFAULTS`] is the commented file that `nac config --defaults` prints.

mod check;
mod check_loss;
mod load;
mod loss;
mod optimizer;
mod processes;
mod signature_fit;
mod sizes;
mod training;

use nac_data::DataConfig;
use nac_modules::model::ModelConfig;
use serde::{Deserialize, Serialize};

pub use check::ValidConfig;
pub(crate) use check::require;
pub use load::{Override, differences, from_toml, load, settings_differ, to_toml};
pub(crate) use load::{flatten, parse_toml};
pub use loss::{
    CircuitSpreadConfig, GraphPriorConfig, LossConfig, SignatureDistributionConfig,
    SignatureRepulsionConfig,
};
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use processes::{Compress, ProcessCount, ProcessesConfig};
pub use signature_fit::SignatureFits;
pub(crate) use sizes::most_threads;
pub use training::{Executor, Precision, TrainingConfig};

/// All settings with their defaults and what they mean, as a TOML file.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the run, and of its folder below `runs/`. Default `run`.
    pub name: String,
    /// Seed of everything random. Default 0.
    pub seed: u64,
    /// `auto`, `cpu`, `cuda` or `cuda:<index>`. Default `auto`: CUDA if it works, else CPU.
    pub device: String,
    /// Threads of libtorch and of fused blocks in each process; 0 is libtorch's default, or a process's share of the cores.
    /// Default 0.
    pub threads: usize,
    /// How many processes train the model together.
    pub processes: ProcessesConfig,
    /// Which data.
    pub data: DataConfig,
    /// Which model.
    pub model: ModelConfig,
    /// Graphs that initial signatures are fitted to.
    #[serde(skip_serializing_if = "SignatureFits::is_empty")]
    pub signature_fit: SignatureFits,
    /// How the baseline compares with the circuit.
    pub baseline: BaselineConfig,
    /// How long, in what batches.
    pub training: TrainingConfig,
    /// Optimizer and learning rate.
    pub optimizer: OptimizerConfig,
    /// What is minimized.
    pub loss: LossConfig,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            name: "run".into(),
            seed: 0,
            device: "auto".into(),
            threads: 0,
            processes: ProcessesConfig::default(),
            data: DataConfig::default(),
            model: ModelConfig::default(),
            signature_fit: SignatureFits::default(),
            baseline: BaselineConfig::default(),
            training: TrainingConfig::default(),
            optimizer: OptimizerConfig::default(),
            loss: LossConfig::default(),
        }
    }
}

/// How the Perceiver IO baseline is sized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineConfig {
    /// With `model.kind = "perceiver-io"`: choose `model.perceiver_io.latent_dim` such that the baseline
    /// is of the size of the circuit that the same file describes. Default `none`.
    #[serde(rename = "match")]
    pub matching: BaselineMatch,
    /// What a model is matched to: `circuit`, the circuit that the same file describes, or `conditional`, that circuit with
    /// a conditional generator that changes signatures and codes and reads all inputs. With `conditional`, circuits get
    /// their width (`model.circuit.state_dim`) by it too, so that all controls of a conditional circuit are of its size.
    /// Default `circuit`.
    pub reference: BaselineReference,
}

/// What a model is matched to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineReference {
    /// The circuit of the settings.
    #[default]
    Circuit,
    /// The circuit of the settings with a conditional generator.
    Conditional,
}

/// In what the baseline equals the circuit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineMatch {
    /// In nothing: its width is what `model.perceiver_io.latent_dim` says.
    #[default]
    None,
    /// In the number of parameters.
    Parameters,
    /// In the floating-point operations of a training step, as nac-core counts them.
    Flops,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_defaults_and_complete() {
        let mut documented: RunConfig = toml::from_str(DEFAULTS).unwrap();
        let defaults = RunConfig::default();
        // The file writes out what the role of an attention decides.
        let resolved = |config: &RunConfig| config.model.circuit.resolve(8, 10).unwrap();
        assert_eq!(resolved(&documented), resolved(&defaults));
        documented.model.circuit = defaults.model.circuit.clone();
        assert_eq!(documented, defaults);
        let keys = |text: &str| {
            let mut keys = Vec::new();
            load::flatten("", &toml::from_str::<toml::Table>(text).unwrap(), &mut keys);
            keys.into_iter()
                .map(|(key, _)| key)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let (documented, all) = (keys(DEFAULTS), keys(&to_toml(&RunConfig::default())));
        let missing: Vec<_> = all.difference(&documented).collect();
        assert!(missing.is_empty(), "not in defaults.toml: {missing:?}");
    }
}
