//! Models by name: the sizes of the paper's released configurations, and small ones for a CPU.
//!
//! A preset is a TOML file with a comment at its head (source, parameters, command, expected result), what
//! the model reads (`[inputs.<name>]`) and answers (`[output]`), and the settings that differ from the defaults
//! (`[model]`). The files are in nac-core, since they need no libtorch; [`BuildModel`] makes models of them.
//!
//! ```
//! use nac_modules::params::ParamStore;
//! use nac_modules::presets::{BuildModel, Preset};
//! use tch::{Device, Kind};
//!
//! let preset = Preset::get("cpu-digits")?;
//! let model = preset.build(ParamStore::new(Device::Cpu, Kind::Float, 42))?;
//! assert_eq!(model.params().parameter_count(), preset.parameter_count()?);
//! # Ok::<(), nac_modules::ModuleError>(())
//! ```

pub use nac_core::model::Preset;

pub use crate::model::BuildModel;

/// Names of all presets.
pub fn names() -> &'static [&'static str] {
    Preset::names()
}
