//! Settings of NLVR2.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// A part of the published files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nlvr2Part {
    /// 86,373 examples.
    Train,
    /// 6,982 examples.
    Dev,
    /// 6,967 examples, public test.
    Test1,
    /// 6,970 examples, the test that was unreleased until 2022.
    Test2,
}

impl Nlvr2Part {
    /// The part as its files are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test1 => "test1",
            Self::Test2 => "test2",
        }
    }

    /// Examples of the published part.
    #[must_use]
    pub fn published(self) -> usize {
        match self {
            Self::Train => 86_373,
            Self::Dev => 6_982,
            Self::Test1 => 6_967,
            Self::Test2 => 6_970,
        }
    }
}

/// Settings of `nlvr2`: the table `[data.nlvr2]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nlvr2Config {
    /// Parts to learn from. Default `["train"]`.
    pub train: Vec<Nlvr2Part>,
    /// Part for the last evaluation. Default `test1`.
    pub test: Nlvr2Part,
    /// A safetensors file with pre-computed features: for each photograph a tensor `[tokens, dim]`, called as the file
    /// of the photograph without its ending, `dev-850-0-img0`. Default none: the photographs are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
}

impl Default for Nlvr2Config {
    fn default() -> Self {
        Self {
            train: vec![Nlvr2Part::Train],
            test: Nlvr2Part::Test1,
            features: None,
        }
    }
}

impl Nlvr2Config {
    /// Checks that training and test share no part.
    ///
    /// # Errors
    /// [`DataError::Config`] with the name of the setting.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |field: &str, reason: &str| {
            Err(DataError::Config {
                field: format!("data.nlvr2.{field}"),
                reason: reason.into(),
            })
        };
        let mut parts = self.train.clone();
        parts.sort_unstable();
        parts.dedup();
        if parts.is_empty() || parts.len() != self.train.len() {
            return wrong("train", "name at least one part, and each once");
        }
        if parts.contains(&self.test) {
            return wrong("train", "the test part is among the training parts");
        }
        let validates = !parts.contains(&Nlvr2Part::Dev);
        if validates && self.test == Nlvr2Part::Dev {
            return wrong(
                "test",
                "dev validates unless it is among the training parts",
            );
        }
        Ok(())
    }
}
