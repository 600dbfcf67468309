//! `docs/results/bench-<machine>.json`: what was measured, set by set.
//!
//! The file is written again after every measurement, to a temporary file and then renamed, so that stopping the
//! program keeps what is finished. Sets that are not measured again stay as they are.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Machine;

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) sets: BTreeMap<String, SetResult>,
}

/// A set as it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetResult {
    /// What the user typed.
    pub(crate) command: String,
    /// Revision of the source.
    pub(crate) revision: String,
    pub(crate) machine: Machine,
    /// Load of the machine before and after.
    pub(crate) load: [Option<f64>; 2],
    /// Whether all cases were measured.
    pub(crate) finished: bool,
    /// Output of each run of `nac-gemm-peak`.
    pub(crate) gemm: Vec<Value>,
    pub(crate) cases: Vec<CaseResult>,
}

/// A case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CaseResult {
    pub(crate) name: String,
    pub(crate) variants: Vec<VariantResult>,
}

/// A variant of a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VariantResult {
    pub(crate) engine: String,
    pub(crate) weights: String,
    pub(crate) allocator: String,
    /// The command of a measurement; its environment is in `runs`.
    pub(crate) command: String,
    /// What the program printed, once for each round.
    pub(crate) runs: Vec<Value>,
    /// Why it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

impl Results {
    /// The file's content, or nothing if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs_err::read_to_string(path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not a file of this program", path.display()))
    }

    /// Writes the file atomically.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let beside = path.with_extension("json.new");
        fs_err::write(&beside, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(fs_err::rename(&beside, path)?)
    }
}

impl SetResult {
    /// Highest rate of matrix products in a precision, over all runs of `nac-gemm-peak`.
    pub(crate) fn peak(&self, kind: &str) -> Option<f64> {
        let peaks = self
            .gemm
            .iter()
            .filter_map(|report| report["peaks"].as_array());
        let of_kind = peaks.flatten().filter(|peak| peak["kind"] == kind);
        let rates = of_kind.filter_map(|peak| peak["flop_per_second"].as_f64());
        rates.max_by(f64::total_cmp)
    }
}

impl VariantResult {
    /// The least of a number over all rounds, by its JSON pointer.
    pub(crate) fn least(&self, pointer: &str) -> Option<f64> {
        let values = self
            .runs
            .iter()
            .filter_map(|run| run.pointer(pointer)?.as_f64());
        values.min_by(f64::total_cmp)
    }

    /// The greatest, likewise.
    pub(crate) fn greatest(&self, pointer: &str) -> Option<f64> {
        let values = self
            .runs
            .iter()
            .filter_map(|run| run.pointer(pointer)?.as_f64());
        values.max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn variant(runs: Vec<Value>) -> VariantResult {
        VariantResult {
            engine: "core".into(),
            weights: "f32".into(),
            allocator: "default".into(),
            command: "nac-measure".into(),
            runs,
            failure: None,
        }
    }

    #[test]
    fn the_least_and_greatest_over_rounds() {
        let run = |seconds: f64| json!({"seconds": {"min": seconds}});
        let variant = variant(vec![run(2.0), run(1.0), json!({})]);
        assert_eq!(variant.least("/seconds/min"), Some(1.0));
        assert_eq!(variant.greatest("/seconds/min"), Some(2.0));
        assert_eq!(variant.least("/memory/peak"), None);
    }

    #[test]
    fn other_sets_stay_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results/bench-x.json");
        let mut results = Results::read(&path).unwrap();
        let set = SetResult {
            command: "cargo xtask bench quick".into(),
            revision: "r".into(),
            machine: Machine::here(),
            load: [None, Some(0.5)],
            finished: false,
            gemm: vec![
                json!({"peaks": [{"kind": "f32", "flop_per_second": 1.0}]}),
                json!({"peaks": [{"kind": "f32", "flop_per_second": 3.0}]}),
            ],
            cases: Vec::new(),
        };
        assert_eq!(set.peak("f32"), Some(3.0));
        assert_eq!(set.peak("bf16"), None);
        results.sets.insert("quick".into(), set);
        results.write(&path).unwrap();
        let again = Results::read(&path).unwrap();
        assert_eq!(again.sets["quick"].load, [None, Some(0.5)]);
        fs_err::write(&path, "[]").unwrap();
        assert!(Results::read(&path).is_err());
    }
}
