//! The three sets of modules of a circuit.

use serde::{Deserialize, Serialize};

/// A set of modules, in files `read_in`, `processors` or `read_out`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
        self.into()
    }
}
