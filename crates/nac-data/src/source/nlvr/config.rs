//! Settings of NLVR.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// What a model sees of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NlvrInput {
    /// Its pixels.
    #[default]
    Image,
    /// A vector for each object, from `structured_rep`.
    Objects,
}

/// A part of the published files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NlvrPart {
    /// 12,410 statements.
    Train,
    /// 989 statements.
    Dev,
    /// 990 statements, public test.
    Test,
}

impl NlvrPart {
    /// The part as its folder and files are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Statements of the published part.
    #[must_use]
    pub fn published(self) -> usize {
        match self {
            Self::Train => 12_410,
            Self::Dev => 989,
            Self::Test => 990,
        }
    }
}

/// Settings of `nlvr`: the table `[data.nlvr]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NlvrConfig {
    /// What a model sees of a drawing: `image` or `objects`. Default `image`.
    pub input: NlvrInput,
    /// Parts to learn from; a tenth of them, whole image directories, validates. Default `["train"]`.
    pub train: Vec<NlvrPart>,
    /// Part for the last evaluation. Default `test`.
    pub test: NlvrPart,
}

impl Default for NlvrConfig {
    fn default() -> Self {
        Self {
            input: NlvrInput::Image,
            train: vec![NlvrPart::Train],
            test: NlvrPart::Test,
        }
    }
}

impl NlvrConfig {
    /// Checks that training and test share no part.
    ///
    /// # Errors
    /// [`DataError::Config`] with the name of the setting.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |reason: &str| {
            Err(DataError::Config {
                field: "data.nlvr.train".into(),
                reason: reason.into(),
            })
        };
        let mut parts = self.train.clone();
        parts.sort_unstable();
        parts.dedup();
        if parts.is_empty() || parts.len() != self.train.len() {
            return wrong("name at least one part, and each once");
        }
        if parts.contains(&self.test) {
            return wrong("the test part is among the training parts");
        }
        Ok(())
    }
}
