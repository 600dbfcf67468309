//! Reading recordings of the reference implementation and comparing with them.
#![allow(dead_code)] // each test program uses its part

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nac_modules::context::RecordedNoise;
use nac_modules::params::{ParamStore, TensorFile};
use tch::{Kind, Tensor};

/// A gradient or output may differ by this many times the recording's own float32 rounding noise …
const NOISE_FACTOR: f64 = 4.0;
/// … plus this share of the tensor's largest value …
const FLOOR: f64 = 2e-6;
/// … or this share of a single number, for which one recorded rounding error is a poor estimate.
const FLOOR_OF_SCALAR: f64 = 1e-5;

/// One recording: tensors and the facts about them.
pub(crate) struct Recording {
    name: String,
    tensors: BTreeMap<String, Tensor>,
    facts: serde_json::Value,
}

impl Recording {
    /// Reads the recording `name` that lies beside the tests.
    pub(crate) fn open(name: &str) -> Self {
        Self::read(
            &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings"),
            name,
        )
    }

    /// Reads a recording of the full set in the folder `NAC_GOLDENS_DIR`; without it, says what is skipped.
    pub(crate) fn open_from_full_set(name: &str) -> Option<Self> {
        if let Some(folder) = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty())
        {
            return Some(Self::read(&PathBuf::from(folder), name));
        }
        let line = format!(
            "SKIPPED: comparison with {name} (set NAC_GOLDENS_DIR to the full set of recordings)"
        );
        eprintln!("{line}");
        if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log);
            writeln!(file.unwrap(), "{line}").unwrap();
        }
        None
    }

    /// Every recording of the full set whose name starts with one of `prefixes`, in the order of names.
    pub(crate) fn open_family(prefixes: &[&str]) -> Option<Vec<Self>> {
        Self::open_from_full_set("a_fc_bias")?;
        let folder = PathBuf::from(std::env::var_os("NAC_GOLDENS_DIR")?);
        Some(Self::read_family(&folder, prefixes))
    }

    /// As [`Self::open_family`], of the recordings that lie beside the tests.
    pub(crate) fn open_bundled(prefixes: &[&str]) -> Vec<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
        Self::read_family(&folder, prefixes)
    }

    fn read_family(folder: &Path, prefixes: &[&str]) -> Vec<Self> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                Some(name.strip_suffix(".safetensors")?.to_owned())
            })
            .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(folder, name)).collect()
    }

    /// Name of the recording.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Facts beside the tensors, such as `config` and `mode`.
    pub(crate) fn facts(&self) -> &serde_json::Value {
        &self.facts
    }

    /// All tensors by name.
    pub(crate) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    fn read(folder: &Path, name: &str) -> Self {
        let tensors = TensorFile::read(&folder.join(format!("{name}.safetensors")))
            .unwrap()
            .tensors;
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        Self {
            name: name.to_owned(),
            tensors,
            facts: serde_json::from_str(&text).unwrap(),
        }
    }

    /// An input whose gradient is recorded too, if it is of floating point.
    pub(crate) fn input(&self, name: &str) -> Tensor {
        let tensor = &self.tensors[&format!("in.{name}")];
        let copy = tensor.copy();
        if copy.kind() == Kind::Float {
            copy.set_requires_grad(true)
        } else {
            copy
        }
    }

    /// A recorded parameter.
    pub(crate) fn parameter(&self, name: &str) -> Tensor {
        self.tensors[&format!("param.{name}")].shallow_clone()
    }

    /// The recorded noise in call order.
    pub(crate) fn noise(&self) -> RecordedNoise {
        let order = self.facts["noise_in_call_order"].as_array().unwrap();
        RecordedNoise::new(
            order
                .iter()
                .map(|name| self.tensors[name.as_str().unwrap()].copy()),
        )
    }

    /// Overwrites all parameters; every recorded one must exist and the other way round.
    pub(crate) fn load(&self, store: &mut ParamStore) {
        let tensors = self.tensors.iter();
        let tensors = tensors.filter_map(|(name, t)| {
            Some((name.strip_prefix("param.")?.to_owned(), t.shallow_clone()))
        });
        store.import(&self.name, &tensors.collect()).unwrap();
    }

    /// Checks one tensor, by its name in the recording.
    pub(crate) fn check(&self, name: &str, ours: &Tensor) {
        let recorded = &self.tensors[name];
        assert_eq!(
            ours.size(),
            recorded.size(),
            "{}: shape of {name}",
            self.name
        );
        let (error, allowed) = (self.error(name, ours), self.allowed(name));
        assert!(
            error <= allowed,
            "{}: {name} differs by {error:e}, allowed {allowed:e}",
            self.name
        );
    }

    /// Largest difference between ours and the recorded tensor; infinite if other entries are finite.
    pub(crate) fn error(&self, name: &str, ours: &Tensor) -> f64 {
        let recorded = self.tensors[name].to_kind(ours.kind());
        let finite = recorded.isfinite();
        let same = ours.eq_tensor(&recorded).logical_or(&finite);
        if ours.size() != recorded.size() || !bool::try_from(same.all()).unwrap() {
            return f64::INFINITY;
        }
        let difference =
            (ours - recorded).where_self(&finite, &Tensor::from(0.0).to_kind(ours.kind()));
        let error = difference.abs().max().double_value(&[]);
        if error.is_nan() { f64::INFINITY } else { error }
    }

    /// Largest finite entry of a recorded tensor.
    pub(crate) fn largest(&self, name: &str) -> f64 {
        let recorded = &self.tensors[name];
        let finite = recorded.where_self(&recorded.isfinite(), &Tensor::from(0.0_f32));
        finite.abs().max().double_value(&[])
    }

    /// By how much a tensor may differ.
    pub(crate) fn allowed(&self, name: &str) -> f64 {
        let noise = self.facts["f32_vs_f64"][name]["max_abs_err"]
            .as_f64()
            .unwrap_or(0.0);
        let floor = if self.tensors[name].numel() == 1 {
            FLOOR_OF_SCALAR
        } else {
            FLOOR
        };
        NOISE_FACTOR * noise + floor * self.largest(name) + 1e-12
    }

    /// Checks every recorded gradient of inputs and parameters below `prefix` (`grad.` for one loss).
    pub(crate) fn check_gradients(
        &self,
        prefix: &str,
        inputs: &[(&str, &Tensor)],
        store: Option<&ParamStore>,
    ) {
        let mut checked = 0;
        for name in self.tensors.keys() {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            let gradient = if let Some(input) = rest.strip_prefix("in.") {
                inputs
                    .iter()
                    .find(|(n, _)| *n == input)
                    .unwrap_or_else(|| panic!("no input {input}"))
                    .1
                    .grad()
            } else if let Some(parameter) = rest.strip_prefix("param.") {
                store
                    .unwrap()
                    .get(parameter)
                    .unwrap_or_else(|| panic!("no parameter {parameter}"))
                    .grad()
            } else {
                continue;
            };
            assert!(gradient.defined(), "{}: {name} has no gradient", self.name);
            self.check(name, &gradient);
            checked += 1;
        }
        assert!(checked > 0, "{}: nothing below {prefix}", self.name);
    }

    /// Sum of squares, the loss of most recordings.
    pub(crate) fn square_loss(&self, output: &str, ours: &Tensor) {
        self.check(&format!("out.{output}"), ours);
        let loss = ours.square().sum(Kind::Float);
        self.check("out.loss", &loss);
        loss.backward();
    }
}
