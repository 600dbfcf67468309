//! [`Schedule`]: the learning rate over the steps.

use crate::scheduled::ScheduledValue;

/// Learning rate of each step of a run. A number is a constant rate; a [`ScheduledValue`] is one, too.
pub trait Schedule {
    /// Learning rate of step `step`, counted from 0, of a run of `steps` steps.
    fn learning_rate(&self, step: u64, steps: u64) -> f64;
}

impl Schedule for f64 {
    fn learning_rate(&self, _step: u64, _steps: u64) -> f64 {
        *self
    }
}

impl Schedule for ScheduledValue {
    fn learning_rate(&self, step: u64, steps: u64) -> f64 {
        self.at(step as f64 / steps.max(1) as f64)
    }
}
