//! Reports of several runs: `results.json` for programs, one self-contained `report.html` for people
//! and a table for the terminal.
//!
//! A [`Report`] is plain data: what was run, a [`Row`] per line of the table and the
//! [`RunSummary`] of every finished run. It holds no dates and no paths of
//! its own, so the same results give the same bytes.

mod error;
mod graph;
mod html;
mod plot;
mod row;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::ReportError;
pub use row::{Row, Spread, Status, model_label};
pub use table::terminal_table;

use nac_train::TrainError;
use nac_train::storage;
use nac_train::summary::RunSummary;

/// Version of the layout of `results.json`.
pub const SCHEMA: u32 = 1;

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

/// Where [`Report::write`] put the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The data.
    pub json: PathBuf,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    report: &'a Report,
}

impl Report {
    /// The text of `results.json`. Numbers that are not finite become `null`.
    ///
    /// # Errors
    /// [`ReportError::Json`].
    pub fn json(&self) -> Result<String, ReportError> {
        let document = Document {
            schema: SCHEMA,
            report: self,
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// The text of `report.html`.
    ///
    /// # Errors
    /// [`ReportError::Plot`] or [`ReportError::Page`].
    pub fn html(&self) -> Result<String, ReportError> {
        html::render(self)
    }

    /// Writes `report.html` and `results.json` into `folder`, which is made if needed. Each file is
    /// replaced at once or not at all.
    ///
    /// # Errors
    /// As [`json`](Self::json) and [`html`](Self::html), and [`ReportError::Write`].
    pub fn write(&self, folder: &Path) -> Result<Written, ReportError> {
        let (html, json) = (self.html()?, self.json()?);
        let written = Written {
            html: folder.join("report.html"),
            json: folder.join("results.json"),
        };
        std::fs::create_dir_all(folder).map_err(TrainError::io("make the folder", folder))?;
        storage::write_atomically(&written.json, json.as_bytes())?;
        storage::write_atomically(&written.html, html.as_bytes())?;
        Ok(written)
    }

    /// Runs of an experiment.
    fn runs_of(&self, experiment: &str) -> impl Iterator<Item = &RunSummary> {
        let runs = self
            .runs
            .iter()
            .filter(move |run| run.experiment == experiment);
        runs.map(|run| &run.summary)
    }
}
