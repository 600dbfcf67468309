//! [`RobustnessConfig`]: what models are tested with.

use nac_data::corruption::Corruption;

use super::condition::Condition;
use crate::config::require;
use crate::error::Result;
use crate::run::EngineChoice;

/// What is tested, and what computes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustnessConfig {
    /// Name of the results, and of their folder below `runs/`. Default `robustness`.
    pub name: String,
    /// Kinds of corruption. Default all.
    pub kinds: Vec<Corruption>,
    /// Their severities. Default 1 to 5.
    pub severities: Vec<u8>,
    /// Seed of their noise. Default 0.
    pub seed: u64,
    /// Most test examples, evenly spaced over the test part. Default all.
    pub limit: Option<usize>,
    /// Whether renditions are looked for. Default true.
    pub renditions: bool,
    /// `auto`, `cpu`, `cuda` or `cuda:<index>`, for the trainer's own evaluation. Default `auto`.
    pub device: String,
    /// The engine. Default the trainer's own evaluation on libtorch.
    pub engine: Option<EngineChoice>,
}

impl Default for RobustnessConfig {
    fn default() -> Self {
        Self {
            name: "robustness".into(),
            kinds: Corruption::ALL.to_vec(),
            severities: (1..=5).collect(),
            seed: 0,
            limit: None,
            renditions: true,
            device: "auto".into(),
            engine: None,
        }
    }
}

impl RobustnessConfig {
    /// Checks all ranges.
    ///
    /// # Errors
    /// [`TrainError::Setting`](crate::TrainError::Setting) naming the first setting that is out of range.
    pub fn check(&self) -> Result<()> {
        let fits = self
            .severities
            .iter()
            .all(|severity| (1..=5).contains(severity));
        let distinct = (1..self.severities.len())
            .all(|at| !self.severities[..at].contains(&self.severities[at]));
        let reason = "must be from 1 to 5, each once";
        let shown = format!("{:?}", self.severities);
        require(
            "severities",
            shown,
            fits && distinct && !self.severities.is_empty(),
            reason,
        )?;
        let distinct = (1..self.kinds.len()).all(|at| !self.kinds[..at].contains(&self.kinds[at]));
        let reason = "must be kinds of corruption, each once";
        require(
            "kinds",
            format!("{:?}", self.kinds),
            distinct && !self.kinds.is_empty(),
            reason,
        )?;
        require("limit", 0, self.limit != Some(0), "must be at least 1")
    }

    /// The test part as it is, then under every corruption.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let mut all = vec![Condition::Clean];
        for &kind in &self.kinds {
            all.extend(
                self.severities
                    .iter()
                    .map(|&severity| Condition::Corrupted { kind, severity }),
            );
        }
        all
    }
}
