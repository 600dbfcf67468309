//! What a run measures on its way: training and validation curves, and events.

use super::progress::Reporter;
use super::step::StepValues;
use super::{Evaluation, Trainer};
use crate::checkpoint::Running;
use crate::error::Result;
use crate::metrics::Event;
use crate::summary::CurvePoint;

impl Trainer {
    pub(super) fn log(&mut self, values: &StepValues) -> Result<()> {
        let Running {
            steps,
            examples,
            correct,
            loss,
            terms,
        } = std::mem::take(&mut self.state.running);
        let (step, steps) = (self.state.step, steps as f64);
        let point = CurvePoint {
            step,
            loss: loss / steps,
            accuracy: correct / examples as f64,
        };
        let epoch = step as f64 / self.loader.batches_per_epoch() as f64;
        let mut numbers: Vec<(String, f64)> = vec![
            ("epoch".into(), epoch),
            ("loss".into(), point.loss),
            ("accuracy".into(), point.accuracy),
        ];
        numbers.extend(
            terms
                .into_iter()
                .map(|(name, sum)| (format!("loss/{name}"), sum / steps)),
        );
        numbers.push(("learning_rate".into(), values.learning_rate));
        numbers.push(("gradient_norm".into(), values.gradient_norm));
        numbers.push(("examples_per_second".into(), self.examples_per_second()));
        numbers.push(("seconds".into(), self.wall_seconds()));
        self.state.train_curve.push(point);
        self.metrics.record(&Event {
            kind: "train",
            step,
            values: numbers,
        })
    }

    pub(super) fn validate(&mut self, reporter: &Reporter) -> Result<()> {
        let Some(validation) = self.validation.clone() else {
            return Ok(());
        };
        let found = self.evaluate(&validation)?;
        let step = self.state.step;
        self.state.validation_curve.push(CurvePoint {
            step,
            loss: found.loss,
            accuracy: found.accuracy,
        });
        let (loss, accuracy) = (found.loss, found.accuracy);
        reporter.note(&format!(
            "step {step}: validation loss {loss:.3} accuracy {accuracy:.3}"
        ));
        self.record_evaluation("validation", &found)
    }

    /// Records the result of an evaluation, with `kind` as event, at the present step.
    ///
    /// # Errors
    /// The metrics sink fails.
    pub fn record_evaluation(&mut self, kind: &'static str, found: &Evaluation) -> Result<()> {
        let values = vec![
            ("loss".into(), found.loss),
            ("accuracy".into(), found.accuracy),
            ("examples".into(), found.examples as f64),
            ("seconds".into(), self.wall_seconds()),
        ];
        self.metrics.record(&Event {
            kind,
            step: self.state.step,
            values,
        })
    }
}
