//! [`Example`] and [`Batch`]: what a data set gives and what a loader gives.

use crate::{Buffer, DataError};

/// One labelled example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Named inputs, in the order of [`DatasetInfo::inputs`](crate::DatasetInfo::inputs).
    pub inputs: Vec<(String, Buffer)>,
    /// Class, below [`DatasetInfo::classes`](crate::DatasetInfo::classes).
    pub label: usize,
}

impl Example {
    /// The input of a name, if there is one.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Buffer> {
        self.inputs.iter().find(|(n, _)| n == name).map(|(_, b)| b)
    }
}

/// Several examples put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Named inputs; the leading axis of each is the batch. Token inputs of unequal length are
    /// padded at the end with the pad id, up to the longest of the batch: `[batch, longest]`.
    pub inputs: Vec<(String, Buffer)>,
    /// Classes, `[batch]`.
    pub labels: Vec<i64>,
    /// Index of each example within its data set, `[batch]`.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
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
    fn inputs_are_found_by_name() {
        let inputs = vec![("tokens".to_string(), Buffer::tokens(vec![1, 2]))];
        let example = Example {
            inputs: inputs.clone(),
            label: 0,
        };
        assert_eq!(
            example.input("tokens").map(Buffer::shape),
            Some(&[2usize][..])
        );
        assert!(example.input("image").is_none());
        let batch = Batch {
            inputs,
            labels: vec![0],
            indices: vec![4],
        };
        let error = batch.input("image").unwrap_err().to_string();
        assert!(
            error.contains("`image`") && error.contains("tokens"),
            "{error}"
        );
    }
}
