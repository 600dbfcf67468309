//! Models by name: the sizes of the paper's released configurations, and small ones for a CPU.
//!
//! A preset is a [`ModelFile`] with a comment at its head (source, parameters, command, expected result).
//! The files are part of the program.

use std::path::Path;

use super::{ConfigError, ModelFile};

/// Names and texts from the files of those names in `presets/`.
macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        const NAMES: &[&str] = &[$($name),+];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../../presets/", $name, ".toml"))),+];
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
    "cpu-sort-of-clevr-conditional",
    "cpu-sort-of-clevr-codes",
    "cpu-sort-of-clevr-signatures",
    "cpu-sort-of-clevr-free",
    "cpu-sort-of-clevr-text-tokens",
    "cpu-sort-of-clevr-perceiver-io",
];

/// A model by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Name, as in [`Preset::names`].
    pub name: &'static str,
    /// What the model reads and answers, and its settings.
    pub file: ModelFile,
    /// The text of the file, with the comment at its head.
    pub text: &'static str,
}

impl Preset {
    /// Names of all presets.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    /// The preset called `name`.
    ///
    /// # Errors
    /// There is no such preset; the error lists those there are.
    pub fn get(name: &str) -> Result<Self, ConfigError> {
        let found = NAMES.iter().zip(TEXTS).find(|(known, _)| **known == name);
        let Some((name, text)) = found else {
            return Err(ConfigError::Setting {
                name: "preset".into(),
                value: name.into(),
                reason: format!("there is no such preset; there are {}", NAMES.join(", ")),
            });
        };
        let path = format!("presets/{name}.toml");
        let file = ModelFile::from_toml_of(text, Path::new(&path))?;
        Ok(Self { name, file, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_preset_and_files_have_names() {
        for name in Preset::names() {
            assert_eq!(Preset::get(name).unwrap().name, *name);
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut names = Preset::names().to_vec();
        files.sort();
        names.sort();
        assert_eq!(files, names);
    }

    #[test]
    fn unknown_names_are_refused_with_those_there_are() {
        let error = Preset::get("chonker").unwrap_err().to_string();
        assert!(error.contains("imagenet-chonker"), "{error}");
    }
}
