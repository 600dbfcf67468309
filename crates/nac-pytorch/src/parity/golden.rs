//! One golden of the reference implementation: `NAME.safetensors` with the tensors, `NAME.json` with the metadata.
//!
//! Tensors are named by role: `in.*` inputs, `param.*` parameters and buffers, `noise.*` random draws,
//! `out.*` outputs, `grad.*` gradients.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nac_modules::params::TensorFile;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::error::{ParityError, Result};

/// The file that lists all goldens of a folder; not a golden itself.
const INDEX: &str = "INDEX";

/// How far the reference's own `float32` run is from its `float64` run, for one tensor.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct NoiseFloor {
    /// Largest absolute difference.
    #[serde(default)]
    pub max_abs_err: f64,
}

/// What the JSON file says about a golden.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// The reference's configuration: the class in `cls` and its keyword arguments.
    pub config: Map<String, Value>,
    /// `train` or `eval`.
    #[serde(default)]
    pub mode: Mode,
    /// What the recorded gradients are gradients of, in words.
    #[serde(default)]
    pub loss: Option<String>,
    /// One loss per output, with gradients in `grad.<output>.*`.
    #[serde(default, deserialize_with = "or_default")]
    pub per_output_loss: bool,
    /// Names of the random draws, in the order of the calls.
    #[serde(default, deserialize_with = "or_default")]
    pub noise_in_call_order: Vec<String>,
    /// Names that mean the same parameter as another name.
    #[serde(default, deserialize_with = "or_default")]
    pub param_aliases: BTreeMap<String, String>,
    /// Parameters that the loss does not reach.
    #[serde(default, deserialize_with = "or_default")]
    pub params_without_grad: Vec<String>,
    /// Gradients that are zero by algebra and hold rounding noise only.
    #[serde(default, deserialize_with = "or_default")]
    pub structurally_zero_grads: BTreeSet<String>,
    /// Rounding noise of each tensor.
    #[serde(default, deserialize_with = "or_default")]
    pub f32_vs_f64: BTreeMap<String, NoiseFloor>,
}

/// `null` is like absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The mode in which a golden was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Links are sampled, drop-path and code noise are active.
    Train,
    /// Evaluation.
    #[default]
    Eval,
}

/// Tensors and metadata of one golden.
#[derive(Debug)]
pub struct Golden {
    /// Name of the files, without extension. It decides nothing.
    pub name: String,
    /// Tensors by full name, as recorded, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the JSON file says.
    pub metadata: Metadata,
}

impl Golden {
    /// Reads the golden `name` in `folder`.
    ///
    /// # Errors
    /// A file is missing, truncated or malformed, or a tensor holds NaN; the message names the file.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.json"));
        let bytes = std::fs::read(&path).map_err(ParityError::io("read", &path))?;
        let metadata: Metadata = serde_json::from_slice(&bytes)
            .map_err(|error| broken(&path, format!("not a golden's metadata: {error}")))?;
        let path = folder.join(format!("{name}.safetensors"));
        let tensors = TensorFile::read(&path)?.tensors;
        for (name, tensor) in &tensors {
            let float = matches!(tensor.kind(), Kind::Float | Kind::Double);
            if float && tensor.f_isnan()?.f_any()?.f_int64_value(&[])? != 0 {
                return Err(broken(&path, format!("`{name}` holds NaN")));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            tensors,
            metadata,
        })
    }

    /// The reference's configuration.
    #[must_use]
    pub fn config(&self) -> &Map<String, Value> {
        &self.metadata.config
    }

    /// Tensors below a prefix such as `param.`, by the rest of the name.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        let all = self.tensors.iter();
        all.filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }
}

fn broken(path: &Path, reason: String) -> ParityError {
    ParityError::Golden {
        path: PathBuf::from(path),
        reason,
    }
}

/// Names of all goldens of a folder, sorted: whatever has one file of the pair, or both.
///
/// # Errors
/// The folder cannot be read, or holds no golden.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(ParityError::io("read", folder))? {
        let path = entry.map_err(ParityError::io("read", folder))?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        let stem = path.file_stem().and_then(|s| s.to_str());
        if let (Some("json" | "safetensors"), Some(stem)) = (extension, stem)
            && stem != INDEX
        {
            names.insert(stem.to_owned());
        }
    }
    if names.is_empty() {
        return Err(broken(folder, "holds no goldens".into()));
    }
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_either_file_without_the_index() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "b.json",
            "a.safetensors",
            "b.safetensors",
            "INDEX.json",
            "README.md",
        ] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        assert_eq!(names(folder.path()).unwrap(), ["a", "b"]);
        let empty = tempfile::tempdir().unwrap();
        let error = names(empty.path()).unwrap_err().to_string();
        assert!(error.contains("holds no goldens"), "{error}");
        assert!(names(&empty.path().join("absent")).is_err());
    }

    #[test]
    fn nan_and_bad_facts_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = [("in.x".to_owned(), Tensor::from_slice(&[1.0_f32, f32::NAN]))];
        let file = TensorFile {
            tensors: tensors.into(),
            ..Default::default()
        };
        std::fs::write(
            folder.path().join("a.safetensors"),
            file.to_bytes().unwrap(),
        )
        .unwrap();
        std::fs::write(folder.path().join("a.json"), r#"{"config": {"cls": "FC"}}"#).unwrap();
        let error = Golden::read(folder.path(), "a").unwrap_err().to_string();
        assert!(error.contains("a.safetensors: `in.x` holds NaN"), "{error}");
        std::fs::write(folder.path().join("a.json"), r#"{"cls": "FC"}"#).unwrap();
        let error = Golden::read(folder.path(), "a").unwrap_err().to_string();
        assert!(error.contains("missing field `config`"), "{error}");
    }
}
