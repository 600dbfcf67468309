//! Settings of the generator of images and questions.

use serde::{Deserialize, Serialize};

use super::question::PER_IMAGE;
use crate::DataError;

/// Most questions of a part.
const MAX_QUESTIONS: usize = 100_000_000;

/// How questions become symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionForm {
    /// A symbol for each word.
    #[default]
    Words,
    /// A symbol for each byte.
    Bytes,
}

/// Settings of `sort-of-clevr`: the table `[data.sort_of_clevr]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SortOfClevrConfig {
    /// Training questions, 12 of each image. Default 120,000.
    pub train: usize,
    /// Validation questions; 0 for a part carved from training. Default 1,200.
    pub validation: usize,
    /// Test questions. Default 3,600.
    pub test: usize,
    /// How questions are read. Default `words`.
    pub question: QuestionForm,
    /// What all images and questions follow from, whatever the seed of a run, so that runs are tested on the same ones.
    /// Default 0.
    pub seed: u64,
}

impl Default for SortOfClevrConfig {
    fn default() -> Self {
        Self {
            train: 10_000 * PER_IMAGE,
            validation: 100 * PER_IMAGE,
            test: 300 * PER_IMAGE,
            question: QuestionForm::Words,
            seed: 0,
        }
    }
}

impl SortOfClevrConfig {
    /// Checks sizes.
    ///
    /// # Errors
    /// [`DataError::Config`] with the name of the setting.
    pub fn check(&self) -> Result<(), DataError> {
        let sizes = [
            ("train", self.train, 1),
            ("validation", self.validation, 0),
            ("test", self.test, 1),
        ];
        for (name, size, least) in sizes {
            if !(least..=MAX_QUESTIONS).contains(&size) {
                return Err(DataError::Config {
                    field: format!("data.sort_of_clevr.{name}"),
                    reason: format!("{size} questions; it must be {least} to {MAX_QUESTIONS}"),
                });
            }
        }
        Ok(())
    }
}
