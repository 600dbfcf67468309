//! [`Metric`]: a number over many examples, from outputs and targets.

use nac_data::Targets;
use ndarray::{ArrayView1, ArrayView2};

use super::sums::Sums;
use crate::error::{Result, TrainError};

/// What a model answered to a batch, and what it should have answered.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Outputs, `[batch, width]`: a score for each class, or a number for each target.
    pub outputs: ArrayView2<'a, f64>,
    /// Targets of the same examples.
    pub targets: &'a Targets,
    /// Index of each example in its data set, `[batch]`.
    pub indices: &'a [usize],
}

impl<'a> Predictions<'a> {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.outputs.nrows()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scores and class of each example, for the metric called `metric`.
    ///
    /// # Errors
    /// [`TrainError::Metric`]: the targets are not one class for each example, each with a score.
    pub fn classes(
        &self,
        metric: &str,
    ) -> Result<impl Iterator<Item = (ArrayView1<'a, f64>, usize)> + use<'a>> {
        let Targets::Classes(classes) = self.targets else {
            return Err(self.mismatch(metric, "needs one class for each example"));
        };
        let width = self.outputs.ncols();
        let fits = |&class: &i64| usize::try_from(class).is_ok_and(|class| class < width);
        if classes.len() != self.len() || !classes.iter().all(fits) {
            return Err(self.mismatch(metric, "needs a class with a score for each example"));
        }
        let classes = classes.iter().map(|&class| class as usize);
        Ok(self.outputs.into_outer_iter().zip(classes))
    }

    /// Outputs and targets of each example, as many of one as of the other, for the metric called `metric`.
    ///
    /// # Errors
    /// [`TrainError::Metric`]: the targets are classes, or of another shape than the outputs.
    pub fn values(
        &self,
        metric: &str,
    ) -> Result<impl Iterator<Item = (ArrayView1<'a, f64>, &'a [f32])> + use<'a>> {
        let Targets::Values { values, dim } = self.targets else {
            return Err(self.mismatch(metric, "needs real numbers as targets"));
        };
        if *dim == 0 || *dim != self.outputs.ncols() || values.len() != self.outputs.len() {
            return Err(self.mismatch(metric, "needs as many targets as outputs"));
        }
        Ok(self
            .outputs
            .into_outer_iter()
            .zip(values.chunks_exact(*dim)))
    }

    fn mismatch(&self, metric: &str, reason: &str) -> TrainError {
        let outputs = self.outputs.shape();
        let targets = match self.targets {
            Targets::Classes(classes) => format!("{} classes", classes.len()),
            Targets::Values { values, dim } => format!("{} numbers, {dim} each", values.len()),
            other => format!("{other:?}"),
        };
        TrainError::Metric {
            name: metric.to_owned(),
            reason: format!("{reason}; outputs {outputs:?}, targets: {targets}"),
        }
    }
}

/// A number over many examples, such as the share of correct answers.
///
/// A metric is stateless: it adds to [`Sums`], and is a function of them.
///
/// ```
/// use nac_train::metrics::{Metric, Predictions, Sums};
///
/// /// Mean of the greatest score.
/// struct Confidence;
///
/// impl Metric for Confidence {
///     fn name(&self) -> &str { "confidence" }
///
///     fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> nac_train::Result<()> {
///         for scores in batch.outputs.rows() {
///             sums.add(&[scores.iter().copied().fold(f64::NEG_INFINITY, f64::max), 1.0]);
///         }
///         Ok(())
///     }
///
///     fn value(&self, sums: &Sums) -> f64 { sums.ratio() }
/// }
/// ```
pub trait Metric {
    /// Name in events, curves and reports; different for each metric of a run.
    fn name(&self) -> &str;

    /// Adds a batch to the sums.
    ///
    /// # Errors
    /// [`TrainError::Metric`]: the metric is not for such targets.
    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()>;

    /// The metric of all examples that were added. A finite number, without any example too.
    fn value(&self, sums: &Sums) -> f64;
}
