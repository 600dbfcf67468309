//! [`Dataset`]: the seam for data. Implement it to add your own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DataError, Example};

/// Labelled examples that can be read by index from any thread.
///
/// # Example
/// ```
/// use nac_data::{Buffer, DataError, Dataset, DatasetInfo, Example, InputKind};
///
/// /// Is the sum of two digits even?
/// struct Parity(DatasetInfo);
///
/// impl Dataset for Parity {
///     fn info(&self) -> &DatasetInfo { &self.0 }
///     fn len(&self) -> usize { 100 }
///     fn get(&self, index: usize) -> Result<Example, DataError> {
///         self.check(index)?;
///         let (a, b) = (index / 10, index % 10);
///         let tokens = Buffer::tokens(vec![1 + a as i64, 1 + b as i64]);
///         Ok(Example { inputs: vec![("tokens".into(), tokens)], label: (a + b) % 2 })
///     }
/// }
///
/// let kind = InputKind::Tokens { vocabulary: 11, max_len: 2, pad: 0 };
/// let info = DatasetInfo { name: "parity".into(), classes: 2, inputs: vec![("tokens".into(), kind)] };
/// assert_eq!(Parity(info).get(34).unwrap().label, 1);
/// ```
pub trait Dataset: Send + Sync {
    /// What the examples look like.
    fn info(&self) -> &DatasetInfo;

    /// Number of examples.
    fn len(&self) -> usize;

    /// Example of an index below [`len`](Self::len). The same index gives the same example.
    ///
    /// # Errors
    /// [`DataError::Index`] beyond the end, or what reading the example gives.
    fn get(&self, index: usize) -> Result<Example, DataError>;

    /// Label of an example where it is known without reading the example, else `None`.
    ///
    /// Used to keep the classes of a held-out part in proportion.
    fn label(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Whether there is no example.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks an index.
    ///
    /// # Errors
    /// [`DataError::Index`] if it is beyond the end.
    fn check(&self, index: usize) -> Result<(), DataError> {
        if index < self.len() {
            return Ok(());
        }
        let dataset = self.info().name.clone();
        Err(DataError::Index {
            dataset,
            index,
            len: self.len(),
        })
    }
}

/// What the examples of a data set look like: enough to build a tokenizer and a head for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name, as in [`DataConfig::name`](crate::DataConfig::name).
    pub name: String,
    /// Number of classes.
    pub classes: usize,
    /// Named inputs of every example.
    pub inputs: Vec<(String, InputKind)>,
}

/// Form of one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputKind {
    /// A picture; examples carry raw `u8 [channels, height, width]`.
    Image {
        /// Colour channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Mean of each channel of the training pixels divided by 255.
        mean: Vec<f32>,
        /// Standard deviation of each channel of the training pixels divided by 255.
        std: Vec<f32>,
    },
    /// A sequence of token ids; examples carry `i64 [len]`, `1 <= len <= max_len`.
    Tokens {
        /// Number of ids, the pad id included; ids are below it.
        vocabulary: usize,
        /// Greatest length.
        max_len: usize,
        /// Id that fills shorter sequences of a batch; never inside an example.
        pad: i64,
    },
}

/// A data set shared between threads.
pub type SharedDataset = Arc<dyn Dataset>;
