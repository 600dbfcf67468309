//! The error type of this crate: every variant names the operation and what was wrong with it.

use crate::model::ConfigError;

/// What can go wrong in this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// Two arrays do not fit together.
    #[error("{op}: shapes {left:?} and {right:?} do not fit: {expected}")]
    ShapeMismatch {
        /// The operation that was asked for.
        op: &'static str,
        /// Shape of the first array.
        left: Vec<usize>,
        /// Shape of the second array.
        right: Vec<usize>,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A parameter is outside its range.
    #[error("{op}: {parameter} is {value}, but must be {expected}")]
    InvalidParameter {
        /// The operation or type that takes the parameter.
        op: &'static str,
        /// Name of the parameter.
        parameter: &'static str,
        /// The value given, as text.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// An array holds a value that is not allowed there (NaN, infinite, not a probability, …).
    #[error("{op}: {array}[{row}, {column}] is {value}, but must be {expected}")]
    InvalidValue {
        /// The operation that was asked for.
        op: &'static str,
        /// Name of the array.
        array: &'static str,
        /// Row of the first bad entry.
        row: usize,
        /// Column of the first bad entry.
        column: usize,
        /// The value found, as text.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The parts of a sparse graph contradict each other.
    #[error("{op}: {reason}")]
    InvalidGraph {
        /// The operation that was asked for.
        op: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// Settings, or a file of them, cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl CoreError {
    /// Builds [`CoreError::InvalidParameter`]; also meant for graph priors outside this crate.
    #[must_use]
    pub fn parameter(
        op: &'static str,
        parameter: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Self {
        Self::InvalidParameter {
            op,
            parameter,
            value: value.to_string(),
            expected,
        }
    }

    pub(crate) fn shapes(
        op: &'static str,
        left: &[usize],
        right: &[usize],
        expected: &'static str,
    ) -> Self {
        Self::ShapeMismatch {
            op,
            left: left.to_vec(),
            right: right.to_vec(),
            expected,
        }
    }

    pub(crate) fn value(
        op: &'static str,
        array: &'static str,
        (row, column): (usize, usize),
        value: impl ToString,
        expected: &'static str,
    ) -> Self {
        Self::InvalidValue {
            op,
            array,
            row,
            column,
            value: value.to_string(),
            expected,
        }
    }
}
