//! How goldens are run.

use tch::{Device, Kind};

/// What runs the layers and models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Layers on libtorch: values and gradients, in training and evaluation.
    #[default]
    Torch,
    /// As `Torch`, with fused blocks for all that they cover, in single precision on the CPU.
    Fused,
    /// nac-engine: values in evaluation, in single precision on the CPU.
    Core,
}

impl Engine {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Fused => "fused",
            Self::Core => "core",
        }
    }
}

/// How goldens are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// What runs them.
    pub engine: Engine,
    /// Where.
    pub device: Device,
    /// In which dtype: `Float`, `Double` or `BFloat16`. Parameters and inputs are converted.
    pub kind: Kind,
    /// Run only goldens whose name contains this.
    pub only: Option<String>,
    /// CaseError after the first case that fails.
    pub fail_fast: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: Engine::Torch,
            device: Device::Cpu,
            kind: Kind::Float,
            only: None,
            fail_fast: false,
        }
    }
}
