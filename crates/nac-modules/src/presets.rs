//! Models by name: the sizes of the paper's released configurations, and small ones for a CPU.
//!
//! A preset is a TOML file with a comment at its head (source, parameters, command, expected result), what
//! the model reads (`[input]`), the number of `classes`, and the settings that differ from the defaults
//! (`[model]`). The files are part of the program.
//!
//! ```
//! use nac_modules::params::ParamStore;
//! use nac_modules::presets::Preset;
//! use tch::{Device, Kind};
//!
//! let preset = Preset::get("cpu-digits")?;
//! let model = preset.build(ParamStore::new(Device::Cpu, Kind::Float, 42))?;
//! assert_eq!(model.params().parameter_count(), preset.parameter_count()?);
//! # Ok::<(), nac_modules::ModuleError>(())
//! ```

use serde::Deserialize;
use tch::{Device, Kind};

use crate::error::{ModuleError, Result};
use crate::model::{InputSpec, Model, ModelConfig, build_model};
use crate::params::ParamStore;

/// Names and texts from the files of those names in `presets/`.
macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        const NAMES: &[&str] = &[$($name),+];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../presets/", $name, ".toml"))),+];
    };
}

presets![
    "imagenet-chonker",
    "imagenet-heckin",
    "imagenet-hefty",
    "imagenet-super",
    "imagenet-nc-x",
    "imagenet-perceiver-io",
    "tiny-imagenet-scale-free",
    "tiny-imagenet-planted-partition",
    "tiny-imagenet-ring-of-cliques",
    "tiny-imagenet-watts-strogatz",
    "tiny-imagenet-erdos-renyi",
    "tiny-imagenet-perceiver-like",
    "tiny-imagenet-perceiver-io",
    "cpu-cifar10",
    "cpu-digits",
    "cpu-listops",
];

/// Names of all presets.
pub fn names() -> &'static [&'static str] {
    NAMES
}

/// A model by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Name, as in [`names`].
    pub name: &'static str,
    /// What the model reads.
    pub input: InputSpec,
    /// Number of classes.
    pub classes: usize,
    /// Settings of the model.
    pub model: ModelConfig,
    /// The whole file, with the comment at its head.
    pub text: &'static str,
}

/// A preset's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    classes: usize,
    input: Input,
    model: ModelConfig,
}

/// Table `[input]`.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Input {
    Image {
        channels: usize,
        height: usize,
        width: usize,
    },
    Tokens {
        vocabulary: usize,
        max_len: usize,
        pad: i64,
    },
}

impl From<Input> for InputSpec {
    fn from(input: Input) -> Self {
        match input {
            Input::Image {
                channels,
                height,
                width,
            } => Self::Image {
                channels,
                height,
                width,
            },
            Input::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Self::Tokens {
                vocabulary,
                max_len,
                pad,
            },
        }
    }
}

impl Preset {
    /// The preset called `name`.
    ///
    /// # Errors
    /// There is no such preset; the error lists those there are.
    pub fn get(name: &str) -> Result<Self> {
        let found = NAMES.iter().zip(TEXTS).find(|(known, _)| **known == name);
        let Some((name, text)) = found else {
            return Err(ModuleError::Setting {
                name: "preset".into(),
                value: name.into(),
                reason: format!("there is no such preset; there are {}", NAMES.join(", ")),
            });
        };
        Self::parse(name, text)
    }

    fn parse(name: &'static str, text: &'static str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|error| ModuleError::File {
            path: format!("presets/{name}.toml").into(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            name,
            input: file.input.into(),
            classes: file.classes,
            model: file.model,
            text,
        })
    }

    /// Builds the model, with its parameters in `store`.
    ///
    /// # Errors
    /// `store` already has parameters of such names.
    pub fn build(&self, store: ParamStore) -> Result<Box<dyn Model>> {
        build_model(store, &self.model, self.input, self.classes)
    }

    /// Number of trained scalars.
    ///
    /// # Errors
    /// As [`Preset::build`].
    pub fn parameter_count(&self) -> Result<usize> {
        let model = self.build(ParamStore::sizes_only(Device::Cpu, Kind::Float))?;
        Ok(model.params().parameter_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_preset_and_files_have_names() {
        for name in names() {
            assert_eq!(Preset::get(name).unwrap().name, *name);
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut names = names().to_vec();
        files.sort();
        names.sort();
        assert_eq!(files, names);
    }

    #[test]
    fn unknown_names_and_keys_are_refused() {
        let error = Preset::get("chonker").unwrap_err().to_string();
        assert!(error.contains("imagenet-chonker"), "{error}");
        let input = "[input]\nkind = \"image\"\nchannels = 1\nheight = 8\nwidth = 8\n";
        let good = format!("classes = 2\n{input}[model.circuit]\nmodules = 8\n");
        let parse = |text: String| Preset::parse("x", text.leak());
        assert_eq!(parse(good.clone()).unwrap().model.circuit.modules, 8);
        for (from, to) in [
            ("classes", "clases"),
            ("width", "widht"),
            ("modules", "moduls"),
            ("[model.circuit]", "[modle.circuit]"),
        ] {
            let error = parse(good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains("presets/x.toml"), "{error}");
        }
        let error = parse(good.replace("width", "depth = 1\nwidth")).unwrap_err();
        assert!(error.to_string().contains("depth"), "{error}");
    }
}
