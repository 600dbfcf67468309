//! A report as text and as files.

use std::path::{Path, PathBuf};

use nac_train::{TrainError, storage};
use serde::Serialize;

use super::data::Report;
use super::error::ReportError;
use super::html;

/// Version of the layout of `results.json`.
pub const SCHEMA: u32 = 1;

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
}
