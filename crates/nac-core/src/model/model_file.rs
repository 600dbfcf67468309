//! A file that describes a whole model: what it reads, what it answers, its settings.
//!
//! ```toml
//! [inputs.image]
//! kind = "image"
//! channels = 3
//! height = 32
//! width = 32
//! normalization = { mean = [0.49, 0.48, 0.45], std = [0.25, 0.24, 0.26] }
//!
//! [output]
//! classes = 10
//!
//! [model.circuit]
//! modules = 64
//! ```
//!
//! Settings that are not in the file have their defaults; unknown ones are errors.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest;

use super::{ConfigError, InputSpec, ModelConfig, OutputSpec, PreprocessingSpec};

/// What errors call text that comes from no file.
const NO_FILE: &str = "model settings";

/// All that is needed to build a model, apart from its weights. The form of the presets and of a user's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// What the model reads.
    pub inputs: InputSpec,
    /// What the model answers.
    pub output: OutputSpec,
    /// How files become the inputs. Default empty.
    #[serde(default, skip_serializing_if = "PreprocessingSpec::is_empty")]
    pub preprocessing: PreprocessingSpec,
    /// Settings of the model.
    pub model: ModelConfig,
}

impl ModelFile {
    /// From TOML text.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] with line and column for an unknown key, a wrong type or bad syntax.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_toml_of(text, Path::new(NO_FILE))
    }

    /// As [`from_toml`](Self::from_toml), for text of a file; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_toml_of(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::parse(&error, text, path))
    }

    /// From a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if the file cannot be read, or has a digest and is not as it was written ([`digest`]); else as [`from_toml`](Self::from_toml).
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |reason: String| ConfigError::Read {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        digest::check_text(&text).map_err(|damaged| {
            let mark = digest::MARK;
            unreadable(format!(
                "{damaged}. If you changed it on purpose, remove its line with `{mark}`"
            ))
        })?;
        Self::from_toml_of(&text, path)
    }

    /// As TOML, defaults written out; [`from_toml`](Self::from_toml) gives the same again.
    ///
    /// # Errors
    /// [`ConfigError::Write`] for a number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self).map_err(|error| ConfigError::Write {
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Preset, PropagatorConfig, Truncation};

    const GOOD: &str = "[output]\nclasses = 2\n[inputs.image]\nkind = \"image\"\nchannels = 1\n\
        height = 8\nwidth = 8\n[model.circuit]\nmodules = 8\n";

    #[test]
    fn unknown_keys_and_wrong_types_are_found_with_their_place() {
        assert_eq!(ModelFile::from_toml(GOOD).unwrap().model.circuit.modules, 8);
        for (from, to, start) in [
            ("classes", "clases", "x.toml:2:1: unknown field `clases`"),
            ("[output]", "[ouput]", "x.toml:1:2: unknown field `ouput`"),
            ("width", "widht", "x.toml:"),
            ("modules", "moduls", "x.toml:9:1: unknown field `moduls`"),
            (
                "modules = 8",
                "modules = \"8\"",
                "x.toml:9:11: invalid type",
            ),
            ("[model.circuit]", "[modle.circuit]", "x.toml:8:"),
            ("width", "depth = 1\nwidth", "x.toml:"),
            ("kind = \"image\"", "kind = \"sound\"", "x.toml:"),
            ("classes = 2", "classes = = 2", "x.toml:2:11: "),
        ] {
            let text = GOOD.replace(from, to);
            let error = ModelFile::from_toml_of(&text, Path::new("x.toml"));
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        let error = ModelFile::from_toml("").unwrap_err().to_string();
        assert!(error.contains("inputs"), "{error}");
    }

    #[test]
    fn files_that_are_not_there_are_named() {
        let path = Path::new("no-such-folder/model.toml");
        let error = ModelFile::read(path).unwrap_err().to_string();
        assert!(error.contains("no-such-folder/model.toml"), "{error}");
    }

    #[test]
    fn a_sealed_file_is_read_as_written_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("nac-model-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model.toml");
        let sealed = digest::seal_toml(GOOD);
        std::fs::write(&path, &sealed).unwrap();
        assert_eq!(
            ModelFile::read(&path).unwrap(),
            ModelFile::from_toml(GOOD).unwrap()
        );
        std::fs::write(&path, sealed.replace("height = 8", "height = 9")).unwrap();
        let error = ModelFile::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("model.toml") && error.contains("damaged"),
            "{error}"
        );
        assert!(error.contains("remove its line"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn toml_round_trips_with_every_optional_setting() {
        for name in Preset::names() {
            let preset = Preset::get(name).unwrap();
            let mut file = preset.file;
            for set in [false, true] {
                if set {
                    let circuit = &mut file.model.circuit;
                    circuit.read_in_modules = Some(3);
                    circuit.code_dim = Some(5);
                    circuit.propagator_layers = vec![PropagatorConfig::default(); 2];
                    circuit.propagator_layers[1].drop_path = Some(0.25);
                    let attention = &mut circuit.propagator.attention;
                    attention.mod_fc = Some(Default::default());
                    attention.layer_scale = Some(1e-6);
                    attention.kernel.truncation = Some(0.9);
                    attention.kernel.truncation_implementation = Truncation::Masked;
                    file.model.convnext.grid_size = Some([7, 9]);
                    file.model.perceiver_io.query_dim = Some(11);
                }
                let text = file.to_toml().unwrap();
                assert_eq!(ModelFile::from_toml(&text).unwrap(), file, "{name}");
            }
        }
    }
}
