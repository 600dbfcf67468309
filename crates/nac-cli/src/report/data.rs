//! What a report shows, as plain data.

use nac_train::summary::RunSummary;
use serde::{Deserialize, Serialize};

use super::row::Row;

/// Everything a report shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// The command that made it, as it was typed.
    pub command: String,
    /// Profile, such as `quick`.
    pub profile: String,
    /// Version of this crate.
    pub version: String,
    /// What the profile shortens, what it does not show, and how to read the numbers.
    pub notes: Vec<String>,
    /// The experiments, in the order in which they ran.
    pub experiments: Vec<Experiment>,
    /// Lines of the results table.
    pub rows: Vec<Row>,
    /// Finished runs.
    pub runs: Vec<ReportedRun>,
}

/// One task on which models are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Short name, such as `listops`; rows and runs refer to it.
    pub name: String,
    /// Name to show, such as `ListOps`.
    pub title: String,
    /// What was run, in a sentence.
    pub task: String,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// A finished run and the experiment it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedRun {
    /// [`Experiment::name`].
    pub experiment: String,
    /// What the run says about itself.
    #[serde(flatten)]
    pub summary: RunSummary,
}

impl Report {
    /// Runs of an experiment.
    pub(super) fn runs_of(&self, experiment: &str) -> impl Iterator<Item = &RunSummary> {
        let runs = self
            .runs
            .iter()
            .filter(move |run| run.experiment == experiment);
        runs.map(|run| &run.summary)
    }
}
