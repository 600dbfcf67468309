//! The three sets of modules of a circuit.

use serde::{Deserialize, Serialize};

/// A set of modules, in files `read_in`, `processors` or `read_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleGroup {
    /// Modules that read the tokens. Reference: `input`.
    ReadIn,
    /// Modules of the propagators. Reference: `mediator`.
    Processors,
    /// Modules that gather the result. Reference: `output`.
    ReadOut,
}

impl ModuleGroup {
    /// All groups, in the order in which an example goes through them.
    pub const ALL: [Self; 3] = [Self::ReadIn, Self::Processors, Self::ReadOut];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadIn => "read_in",
            Self::Processors => "processors",
            Self::ReadOut => "read_out",
        }
    }
}

impl std::fmt::Display for ModuleGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
