//! Models by the short names that measurements use.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nac_core::model::{InputKind, InputSpec, ModelFile, ModelKind, PerceiverIoConfig, Preset};

use nac_core::model::spec::{Algorithm, Operations};

/// A model that reads images or symbols.
#[derive(Debug, Clone)]
pub struct Named {
    /// Name of the preset, or the path of the file.
    pub name: String,
    /// The model.
    pub file: ModelFile,
}

impl Named {
    /// The model of a name: `chonker` is `imagenet-chonker`, `tiny-nac` is `tiny-imagenet-scale-free` and
    /// `perceiver-io` is `tiny-imagenet-perceiver-io`; `listops` is `cpu-listops` with sequences of 50 out of 18 symbols, and
    /// `listops-perceiver-io` a Perceiver IO of its size; others are presets or paths that end in `.toml`.
    ///
    /// # Errors
    /// There is no such preset or file, or the model reads several inputs, or neither an image nor symbols.
    pub fn resolve(name: &str) -> Result<Self> {
        let (name, preset) = match name {
            "chonker" => ("imagenet-chonker", "imagenet-chonker"),
            "tiny-nac" => ("tiny-imagenet-scale-free", "tiny-imagenet-scale-free"),
            "perceiver-io" => ("tiny-imagenet-perceiver-io", "tiny-imagenet-perceiver-io"),
            "listops" | "listops-perceiver-io" => (name, "cpu-listops"),
            other => (other, other),
        };
        let mut file = if preset.ends_with(".toml") {
            ModelFile::read(Path::new(preset))?
        } else {
            Preset::get(preset)?.file
        };
        if name.starts_with("listops") {
            file.inputs = InputSpec::tokens(18, 50, 0);
        }
        if name == "listops-perceiver-io" {
            file.model.kind = ModelKind::PerceiverIo;
            file.model.perceiver_io = small_perceiver_io();
        }
        let model = Self {
            name: name.to_owned(),
            file,
        };
        model.input()?;
        Ok(model)
    }

    /// Name and kind of the one input.
    ///
    /// # Errors
    /// There are several, or it is neither an image nor symbols.
    pub fn input(&self) -> Result<(&str, &InputKind)> {
        let mut inputs = self.file.inputs.iter();
        match (inputs.next(), inputs.next()) {
            (Some((name, kind @ (InputKind::Image { .. } | InputKind::Tokens { .. }))), None) => {
                Ok((name, kind))
            }
            _ => bail!(
                "`{}` reads neither one image nor one sequence of symbols; only such models are measured",
                self.name
            ),
        }
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

/// As many layers of as many states of the same width as the small ListOps circuit.
fn small_perceiver_io() -> PerceiverIoConfig {
    PerceiverIoConfig {
        depth: 4,
        latents: 32,
        latent_dim: 64,
        cross_heads: 1,
        cross_head_dim: Some(64),
        latent_heads: 4,
        head_dim: 16,
        ffn_multiplier: 2,
        ..PerceiverIoConfig::default()
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
        let listops = Named::resolve("listops").unwrap();
        assert!(listops.image().is_err());
        let baseline = Named::resolve("listops-perceiver-io").unwrap();
        assert_eq!(baseline.file.model.kind, ModelKind::PerceiverIo);
        let error = format!("{:#}", Named::resolve("no.toml").unwrap_err());
        assert!(error.contains("no.toml"), "{error}");
    }
}
