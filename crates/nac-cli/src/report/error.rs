//! [`ReportError`]: why a report could not be made.

use nac_train::TrainError;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A figure could not be drawn.
    #[error("report: the figure `{figure}` could not be drawn: {reason}")]
    Plot {
        /// Which figure.
        figure: &'static str,
        /// What the drawing library said.
        reason: String,
    },
    /// The page could not be put together.
    #[error("report: the page could not be written: {0}")]
    Page(#[from] askama::Error),
    /// The results could not be turned into JSON.
    #[error("report: results.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A file or folder could not be written.
    #[error(transparent)]
    Write(#[from] TrainError),
}
