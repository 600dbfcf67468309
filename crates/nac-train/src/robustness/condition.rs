//! [`Condition`]: what test images are like.

use nac_data::corruption::Corruption;
use serde::{Deserialize, Serialize};

/// What the images are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The test part as it is.
    Clean,
    /// The test part, corrupted.
    Corrupted {
        /// How.
        kind: Corruption,
        /// How strongly, 1 to 5.
        severity: u8,
    },
    /// Renditions of the classes of the test part, such as drawings.
    Renditions {
        /// Name of the data set.
        dataset: String,
    },
}

impl Condition {
    /// Name for files and tables: `clean`, `jpeg-3`, `tiny-imagenet-r`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Clean => "clean".into(),
            Self::Corrupted { kind, severity } => format!("{}-{severity}", kind.name()),
            Self::Renditions { dataset } => dataset.clone(),
        }
    }
}
