//! What a model answers: one of several classes, or numbers.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// What a model answers. In a file, `classes = 10`, with `names = [...]` where classes have names, or `values = 3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OutputTable", into = "OutputTable")]
#[non_exhaustive]
pub enum OutputSpec {
    /// Which of several classes.
    Classes {
        /// Number of classes.
        count: usize,
        /// A name for each class, or nothing.
        names: Vec<String>,
    },
    /// Real numbers: regression, on one target or several.
    Values {
        /// Number of targets.
        dim: usize,
    },
}

impl OutputSpec {
    /// Classes without names.
    #[must_use]
    pub fn classes(count: usize) -> Self {
        Self::Classes {
            count,
            names: Vec::new(),
        }
    }

    /// One class for each name.
    #[must_use]
    pub fn named<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Self::Classes {
            count: names.len(),
            names,
        }
    }

    /// `dim` real numbers.
    #[must_use]
    pub fn values(dim: usize) -> Self {
        Self::Values { dim }
    }

    /// Numbers that the model gives for an example.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Classes { count, .. } => *count,
            Self::Values { dim } => *dim,
        }
    }

    /// Number of classes, if the answer is a class.
    #[must_use]
    pub fn class_count(&self) -> Option<usize> {
        match self {
            Self::Classes { count, .. } => Some(*count),
            Self::Values { .. } => None,
        }
    }

    /// Name of a class, or its number where classes have no names.
    #[must_use]
    pub fn class_name(&self, class: usize) -> String {
        match self {
            Self::Classes { names, .. } => names.get(class).cloned(),
            Self::Values { .. } => None,
        }
        .unwrap_or_else(|| class.to_string())
    }

    /// Checks the number of classes or targets and of names.
    ///
    /// # Errors
    /// [`ConfigError::Setting`]: nothing is answered, or there are names but not one for each class.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, value: usize, reason: String| {
            Err(ConfigError::Setting {
                name: format!("output.{key}"),
                value: value.to_string(),
                reason,
            })
        };
        match self {
            Self::Classes { count: 0, .. } => wrong("classes", 0, "must be at least 1".into()),
            Self::Values { dim: 0 } => wrong("values", 0, "must be at least 1".into()),
            Self::Classes { count, names } if !names.is_empty() && names.len() != *count => {
                let reason = format!("must be one name for each of {count} classes");
                wrong("names", names.len(), reason)
            }
            _ => Ok(()),
        }
    }
}

/// The form in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<usize>,
}

impl TryFrom<OutputTable> for OutputSpec {
    type Error = &'static str;

    fn try_from(table: OutputTable) -> Result<Self, Self::Error> {
        match table {
            OutputTable {
                classes: Some(count),
                names,
                values: None,
            } => Ok(Self::Classes { count, names }),
            OutputTable {
                classes: None,
                names,
                values: Some(dim),
            } if names.is_empty() => Ok(Self::Values { dim }),
            _ => Err("expected either `classes`, with or without `names`, or `values`"),
        }
    }
}

impl From<OutputSpec> for OutputTable {
    fn from(output: OutputSpec) -> Self {
        let (classes, names, values) = match output {
            OutputSpec::Classes { count, names } => (Some(count), names, None),
            OutputSpec::Values { dim } => (None, Vec::new(), Some(dim)),
        };
        Self {
            classes,
            names,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_round_trips() {
        for (spec, text) in [
            (OutputSpec::classes(10), "classes = 10\n"),
            (
                OutputSpec::named(["cat", "dog"]),
                "classes = 2\nnames = [\"cat\", \"dog\"]\n",
            ),
            (OutputSpec::values(3), "values = 3\n"),
        ] {
            assert_eq!(toml::to_string(&spec).unwrap(), text);
            assert_eq!(toml::from_str::<OutputSpec>(text).unwrap(), spec);
            spec.check().unwrap();
        }
        for text in [
            "",
            "classes = 2\nvalues = 2\n",
            "values = 2\nnames = []\nnmes = 2",
        ] {
            assert!(toml::from_str::<OutputSpec>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn widths_and_names() {
        let pets = OutputSpec::named(["cat", "dog"]);
        assert_eq!((pets.width(), pets.class_count()), (2, Some(2)));
        assert_eq!(
            (pets.class_name(1), pets.class_name(7)),
            ("dog".into(), "7".into())
        );
        let values = OutputSpec::values(3);
        assert_eq!((values.width(), values.class_count()), (3, None));
        for wrong in [
            OutputSpec::classes(0),
            OutputSpec::values(0),
            OutputSpec::Classes {
                count: 3,
                names: vec!["cat".into()],
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
