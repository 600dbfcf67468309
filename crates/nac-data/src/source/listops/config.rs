//! [`ListOpsConfig`]: settings of the generator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::view::ListOpsView;
use crate::DataError;

/// Settings of ListOps; the defaults are those of the Long Range Arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListOpsConfig {
    /// Expressions are longer than this (strictly), in symbols without parentheses. Default 500.
    pub min_length: usize,
    /// Expressions are shorter than this (strictly). Default 2000.
    pub max_length: usize,
    /// Greatest depth; a node at this depth is a digit, the root has depth 1. Default 10.
    pub max_depth: usize,
    /// Greatest number of arguments of an operator; the least is 2. Default 10.
    pub max_args: usize,
    /// Training examples. Default 96000.
    pub train: usize,
    /// Validation examples; with 0 there is no validation part. Default 2000.
    pub validation: usize,
    /// Test examples. Default 2000.
    pub test: usize,
    /// What a model is given beside the task, for diagnostics. Default `plain`, nothing.
    #[serde(skip_serializing_if = "is_plain")]
    pub view: ListOpsView,
    /// Seed of the expressions. Default none: the seed of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Folder with `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` to read instead of
    /// generating. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Default for ListOpsConfig {
    fn default() -> Self {
        Self {
            min_length: 500,
            max_length: 2000,
            max_depth: 10,
            max_args: 10,
            train: 96_000,
            validation: 2_000,
            test: 2_000,
            view: ListOpsView::Plain,
            seed: None,
            folder: None,
        }
    }
}

fn is_plain(view: &ListOpsView) -> bool {
    *view == ListOpsView::Plain
}

impl ListOpsConfig {
    /// Greatest `max_length`.
    pub const LONGEST: usize = 1 << 20;
    /// Greatest `max_depth`.
    pub const DEEPEST: usize = 1 << 10;

    /// Whether these are the settings of the Long Range Arena.
    #[must_use]
    pub fn is_long_range_arena(&self) -> bool {
        let unchanged = Self {
            seed: self.seed,
            folder: self.folder.clone(),
            ..Self::default()
        };
        *self == unchanged
    }

    /// Number of expressions in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.train
            .saturating_add(self.validation)
            .saturating_add(self.test)
    }

    /// Checks that these settings allow some expression.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the setting.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |field: &str, reason: String| {
            Err(DataError::Config {
                field: format!("data.listops.{field}"),
                reason,
            })
        };
        if self.max_length > Self::LONGEST {
            return wrong("max_length", format!("must be at most {}", Self::LONGEST));
        }
        // The shortest expression with an operator has 4 symbols; a lone digit has 1.
        if self.max_length < 2 || self.min_length >= self.max_length - 1 {
            return wrong(
                "min_length",
                format!(
                    "no length is above {} and below {} (max_length)",
                    self.min_length, self.max_length
                ),
            );
        }
        if self.max_depth == 0 || self.max_depth > Self::DEEPEST {
            return wrong("max_depth", format!("must be 1 to {}", Self::DEEPEST));
        }
        if !(2..=1000).contains(&self.max_args) {
            return wrong("max_args", "must be 2 to 1000".into());
        }
        for (field, count) in [("train", self.train), ("test", self.test)] {
            if count == 0 {
                return wrong(field, "must be at least 1".into());
            }
        }
        if self.total() > u32::MAX as usize {
            return wrong("train", "too many examples".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_arena_s_and_pass() {
        let config = ListOpsConfig::default();
        config.check().unwrap();
        assert!(config.is_long_range_arena());
        assert_eq!(config.total(), 100_000);
        assert!(
            !ListOpsConfig {
                max_length: 100,
                min_length: 10,
                ..config
            }
            .is_long_range_arena()
        );
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let base = ListOpsConfig::default;
        let cases = [
            (
                "min_length",
                ListOpsConfig {
                    min_length: 1999,
                    ..base()
                },
            ),
            (
                "min_length",
                ListOpsConfig {
                    min_length: 0,
                    max_length: 0,
                    ..base()
                },
            ),
            (
                "max_length",
                ListOpsConfig {
                    max_length: usize::MAX,
                    ..base()
                },
            ),
            (
                "max_depth",
                ListOpsConfig {
                    max_depth: 0,
                    ..base()
                },
            ),
            (
                "max_args",
                ListOpsConfig {
                    max_args: 1,
                    ..base()
                },
            ),
            ("train", ListOpsConfig { train: 0, ..base() }),
            ("test", ListOpsConfig { test: 0, ..base() }),
        ];
        for (field, config) in cases {
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("data.listops.{field}:")),
                "{error}"
            );
        }
    }

    #[test]
    fn toml_knows_the_names_and_refuses_others() {
        let config: ListOpsConfig = toml::from_str("min_length = 10\nmax_length = 100").unwrap();
        assert_eq!(
            (config.min_length, config.max_length, config.train),
            (10, 100, 96_000)
        );
        let error = toml::from_str::<ListOpsConfig>("min_lenght = 10")
            .unwrap_err()
            .to_string();
        assert!(error.contains("min_lenght"), "{error}");
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<ListOpsConfig>(&text).unwrap(), config);
    }
}
