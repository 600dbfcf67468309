//! [`Dataset`]: the trait to implement for your own data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DataError, Example, InputSpec, OutputSpec, PreprocessingSpec};

/// Examples with targets, read by index from any thread.
///
/// # Example
/// ```
/// use nac_data::{Buffer, DataError, Dataset, DatasetInfo, Example, InputSpec, OutputSpec, Target};
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
///         Ok(Example::new("tokens", tokens, Target::Class((a + b) % 2)))
///     }
/// }
///
/// let info = DatasetInfo {
///     name: "parity".into(),
///     inputs: InputSpec::tokens(11, 2, 0),
///     output: OutputSpec::named(["even", "odd"]),
///     preprocessing: Default::default(),
/// };
/// assert_eq!(Parity(info).get(34).unwrap().target, Target::Class(1));
/// ```
pub trait Dataset: Send + Sync {
    /// What the examples look like.
    fn info(&self) -> &DatasetInfo;

    /// Number of examples.
    fn len(&self) -> usize;

    /// Example of an index below [`len`](Self::len). The same index gives the same example.
    ///
    /// # Errors
    /// [`DataError::Index`] beyond the end, or an error of reading the example.
    fn get(&self, index: usize) -> Result<Example, DataError>;

    /// As [`get`](Self::get), but images may have the size that they have in their files: for transforms that cut a part
    /// and resize it themselves. Default: as `get`.
    ///
    /// # Errors
    /// As `get`.
    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        self.get(index)
    }

    /// Class of an example where there is one and it is known without reading the example, else `None`.
    ///
    /// Used to keep the classes of a held-out part in proportion.
    fn class(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Kind of an example, for results by kind, where examples are of several and it is known without reading the
    /// example: the type of its question, say. Else `None`.
    fn group(&self, index: usize) -> Option<&str> {
        let _ = index;
        None
    }

    /// Number of what an example is a view of, where several examples are views of one thing and it is known without
    /// reading them: the drawings of a statement, say. [`held_out`](crate::split::held_out) keeps them together. Else `None`.
    fn unit(&self, index: usize) -> Option<u64> {
        let _ = index;
        None
    }

    /// The classes that an answer may be, if they are not all of those of the output: accuracy is then over these alone.
    ///
    /// ImageNet-R has 200 of ImageNet's 1,000 classes, and a model of 1,000 outputs is asked for the best of these 200.
    fn answers(&self) -> Option<&[usize]> {
        None
    }

    /// The file of an example, if each has its own.
    fn file(&self, index: usize) -> Option<&std::path::Path> {
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
    /// Inputs of every example.
    pub inputs: InputSpec,
    /// What the model predicts.
    pub output: OutputSpec,
    /// How files become the inputs, where a model can be given files.
    #[serde(default)]
    pub preprocessing: PreprocessingSpec,
}

/// A data set shared between threads.
pub type SharedDataset = Arc<dyn Dataset>;
