//! [`Example`] and [`Batch`]: what a data set gives and what a loader gives.

use crate::{Buffer, DataError};

/// Target of an example.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// A class, below the number of classes.
    Class(usize),
    /// As many real numbers as the data set has targets.
    Values(Vec<f32>),
}

impl Target {
    /// The class, if it is one.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(*class),
            Self::Values(_) => None,
        }
    }
}

/// One example with its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Named inputs, those of [`DatasetInfo::inputs`](crate::DatasetInfo::inputs).
    pub inputs: Vec<(String, Buffer)>,
    /// Target, of the kind of [`DatasetInfo::output`](crate::DatasetInfo::output).
    pub target: Target,
}

impl Example {
    /// An example with one input.
    #[must_use]
    pub fn new(name: impl Into<String>, input: Buffer, target: Target) -> Self {
        Self {
            inputs: vec![(name.into(), input)],
            target,
        }
    }

    /// The input of a name, if there is one.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Buffer> {
        self.inputs.iter().find(|(n, _)| n == name).map(|(_, b)| b)
    }
}

/// The targets of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// Classes, `[batch]`.
    Classes(Vec<i64>),
    /// Real numbers, `[batch, dim]`, row-major.
    Values {
        /// The numbers, example after example.
        values: Vec<f32>,
        /// Numbers of an example, at least 1.
        dim: usize,
    },
    /// A share for each class, `[batch, classes]`, row-major; those of an example add up to 1. What
    /// [`Mix`](crate::transform::Mix) makes of classes.
    Soft {
        /// The shares, example after example.
        values: Vec<f32>,
        /// Number of classes, at least 1.
        classes: usize,
    },
}

impl Targets {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values { values, dim } => values.len() / dim.max(&1),
            Self::Soft { values, classes } => values.len() / classes.max(&1),
        }
    }

    /// The class with the greatest share of each example (the first of several), where targets are shares; others as they
    /// are.
    #[must_use]
    pub fn hardened(&self) -> std::borrow::Cow<'_, Self> {
        let Self::Soft { values, classes } = self else {
            return std::borrow::Cow::Borrowed(self);
        };
        let greatest = |row: &[f32]| {
            let best = row
                .iter()
                .enumerate()
                .rev()
                .max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(class, _)| class as i64)
        };
        let rows = values.chunks_exact((*classes).max(1));
        std::borrow::Cow::Owned(Self::Classes(rows.map(greatest).collect()))
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes, `[batch]`.
    ///
    /// # Errors
    /// [`DataError::Shape`] if the targets are real numbers or shares.
    pub fn classes(&self) -> Result<&[i64], DataError> {
        match self {
            Self::Classes(classes) => Ok(classes),
            Self::Values { dim: count, .. } | Self::Soft { classes: count, .. } => {
                Err(DataError::Shape {
                    operation: "Targets::classes".into(),
                    expected: "a class for each example".into(),
                    found: format!("{count} values for each example"),
                })
            }
        }
    }
}

/// Several examples stacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Named inputs; the leading axis of each is the batch. Token inputs of unequal length are
    /// padded at the end with the pad id, up to the longest of the batch: `[batch, longest]`.
    pub inputs: Vec<(String, Buffer)>,
    /// Targets.
    pub targets: Targets,
    /// Index of each example within its data set, `[batch]`.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The input of a name.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the names that exist.
    pub fn input(&self, name: &str) -> Result<&Buffer, DataError> {
        self.inputs
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, b)| b)
            .ok_or_else(|| DataError::UnknownName {
                kind: "batch input",
                name: name.into(),
                known: self.inputs.iter().map(|(n, _)| n.clone()).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_and_not_mixed_up() {
        let values = Targets::Values {
            values: vec![0.5; 6],
            dim: 3,
        };
        assert_eq!((values.len(), values.is_empty()), (2, false));
        let error = values.classes().unwrap_err().to_string();
        assert!(error.contains("3 values"), "{error}");
        assert_eq!(Targets::Classes(vec![1, 0]).classes().unwrap(), [1, 0]);
        assert_eq!(Target::Values(vec![1.0]).class(), None);
        let soft = Targets::Soft {
            values: vec![0.2, 0.8, 0.5, 0.5],
            classes: 2,
        };
        assert_eq!(soft.len(), 2);
        assert!(soft.classes().is_err());
        assert_eq!(soft.hardened().classes().unwrap(), [1, 0]);
        assert_eq!(*values.hardened(), values);
    }

    #[test]
    fn inputs_are_found_by_name() {
        let inputs = vec![("tokens".to_string(), Buffer::tokens(vec![1, 2]))];
        let example = Example {
            inputs: inputs.clone(),
            target: Target::Class(0),
        };
        assert_eq!(
            example.input("tokens").map(Buffer::shape),
            Some(&[2usize][..])
        );
        assert!(example.input("image").is_none());
        let batch = Batch {
            inputs,
            targets: Targets::Classes(vec![0]),
            indices: vec![4],
        };
        let error = batch.input("image").unwrap_err().to_string();
        assert!(
            error.contains("`image`") && error.contains("tokens"),
            "{error}"
        );
    }
}
