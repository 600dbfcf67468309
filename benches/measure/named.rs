//! Models by the short names that measurements use.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nac_core::model::{ModelFile, Preset};

use nac_core::model::spec::{Algorithm, Operations};

/// A model that reads images.
#[derive(Debug, Clone)]
pub struct Named {
    /// Name of the preset, or the path of the file.
    pub name: String,
    /// The model.
    pub file: ModelFile,
}

impl Named {
    /// The model of a name: `chonker` is `imagenet-chonker`, `tiny-nac` is `tiny-imagenet-scale-free` and
    /// `perceiver-io` is `tiny-imagenet-perceiver-io`; others are presets or paths that end in `.toml`.
    ///
    /// # Errors
    /// There is no such preset or file, or the model does not read images.
    pub fn resolve(name: &str) -> Result<Self> {
        let name = match name {
            "chonker" => "imagenet-chonker",
            "tiny-nac" => "tiny-imagenet-scale-free",
            "perceiver-io" => "tiny-imagenet-perceiver-io",
            other => other,
        };
        let file = if name.ends_with(".toml") {
            ModelFile::read(Path::new(name))?
        } else {
            Preset::get(name)?.file
        };
        if file.inputs.single_image().is_none() {
            bail!("`{name}` does not read images; only such models are measured");
        }
        Ok(Self {
            name: name.to_owned(),
            file,
        })
    }

    /// Channels, height and width of the images.
    ///
    /// # Errors
    /// The model does not read images.
    pub fn image(&self) -> Result<[usize; 3]> {
        let found = self.file.inputs.single_image();
        found.with_context(|| format!("`{}` does not read images", self.name))
    }

    /// Its operations and bytes.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn count(&self, algorithm: Algorithm) -> Result<Operations> {
        Ok(self.file.resolve()?.operations(algorithm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_presets_and_files() {
        assert_eq!(Named::resolve("chonker").unwrap().name, "imagenet-chonker");
        let preset = Named::resolve("imagenet-perceiver-io").unwrap();
        assert_eq!(preset.image().unwrap(), [3, 224, 224]);
        let error = Named::resolve("cpu-listops").unwrap_err().to_string();
        assert!(error.contains("does not read images"), "{error}");
        let error = format!("{:#}", Named::resolve("no.toml").unwrap_err());
        assert!(error.contains("no.toml"), "{error}");
    }
}
