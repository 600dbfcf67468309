//! Reading recordings of the authors' code and comparing with them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD, Ix2};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// One recording: its facts and its tensors as `f32`.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) json: Value,
    pub(crate) tensors: HashMap<String, ArrayD<f32>>,
}

impl Recording {
    /// The recording `name` that lies beside the tests.
    pub(crate) fn read(name: &str) -> Self {
        Self::open(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings"),
            name,
        )
    }

    /// A recording of the full set in the folder `NAC_GOLDENS_DIR`; without it, says what is skipped.
    pub(crate) fn read_from_full_set(name: &str) -> Option<Self> {
        if let Some(folder) = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty())
        {
            return Some(Self::open(&PathBuf::from(folder), name));
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

    fn open(folder: &Path, name: &str) -> Self {
        let json = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = tensors.iter().map(|(key, view)| {
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => {
                    let values = view.data().chunks_exact(4);
                    values
                        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                        .collect()
                }
                Dtype::U8 => view.data().iter().map(|&b| f32::from(b)).collect(),
                other => panic!("{name} {key} is {other:?}"),
            };
            let array = ArrayD::from_shape_vec(view.shape(), values).unwrap();
            (key.to_string(), array)
        });
        Self {
            name: name.to_string(),
            json: serde_json::from_slice(&json).unwrap(),
            tensors: tensors.collect(),
        }
    }

    pub(crate) fn matrix(&self, key: &str) -> Array2<f32> {
        self.tensors[key]
            .clone()
            .into_dimensionality::<Ix2>()
            .unwrap()
    }

    pub(crate) fn config(&self, key: &str) -> Option<f64> {
        self.json["config"][key].as_f64()
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.json["config"][key].as_bool() == Some(true)
    }

    /// Compares within four times the recording's own `float32` noise plus 1e-6 of the largest value.
    pub(crate) fn compare(&self, key: &str, ours: &ArrayD<f32>) {
        self.compare_within(key, ours, 1e-6);
    }

    /// Compares within four times the recorded noise plus `floor` of the largest value; infinite entries
    /// must be the same ones.
    pub(crate) fn compare_within(&self, key: &str, ours: &ArrayD<f32>, floor: f64) {
        let theirs = &self.tensors[key];
        assert_eq!(ours.shape(), theirs.shape(), "{} {key}", self.name);
        let noise = self.json["f32_vs_f64"][key]["max_abs_err"]
            .as_f64()
            .unwrap_or(0.0);
        let finite = theirs.iter().filter(|v| v.is_finite());
        let largest = finite.fold(0.0_f64, |m, v| m.max(f64::from(v.abs())));
        let tolerance = 4.0 * noise + floor * largest;
        let mut worst = 0.0_f64;
        for ((place, &a), &b) in ours.indexed_iter().zip(theirs) {
            let error = if a == b {
                0.0
            } else {
                (f64::from(a) - f64::from(b)).abs()
            };
            let name = &self.name;
            assert!(
                error <= tolerance,
                "{name} {key} {place:?}: {a}, recorded {b}, tolerance {tolerance:e}"
            );
            worst = worst.max(error / largest);
        }
        println!("{} {key}: {worst:.2e} of the largest value", self.name);
    }
}
