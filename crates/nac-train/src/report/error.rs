//! [`ReportError`]: why a report could not be made.

use std::path::PathBuf;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A picture could not be drawn.
    #[error("report: the picture `{picture}` could not be drawn: {reason}")]
    Plot {
        /// Which picture.
        picture: &'static str,
        /// What the drawing library said.
        reason: String,
    },
    /// The page could not be put together.
    #[error("report: the page could not be written: {0}")]
    Page(#[from] askama::Error),
    /// The results could not be turned into JSON.
    #[error("report: results.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A file could not be written.
    #[error("report: `{}` could not be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
