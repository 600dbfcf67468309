//! What a run measures, and where the numbers go.
//!
//! - [`Metric`]: a number over many examples, from model outputs and targets. The same metric works in training steps,
//!   in evaluation on libtorch and in evaluation on another engine, because it sees plain arrays.
//! - [`MetricsSink`]: takes the [`Event`]s of a run.

mod classes;
mod consistency;
mod evaluator;
mod json_lines;
mod metric;
mod named;
mod sink;
mod sums;
mod values;

pub use classes::{Accuracy, TopK};
pub use consistency::Consistency;
pub use evaluator::{Evaluation, Evaluator};
pub use json_lines::JsonLines;
pub use metric::{Metric, Predictions};
pub use named::{by_name, defaults};
pub use sink::{Event, MetricsSink, NoMetrics, Tee};
pub use sums::Sums;
pub use values::{MeanAbsoluteError, MeanSquaredError, RSquared};
