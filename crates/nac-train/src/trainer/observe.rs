//! What a run measures on its way: training and validation curves, and events.

use super::gradients::StepReport;
use super::state::Trainer;
use crate::checkpoint::Running;
use crate::error::Result;
use crate::metrics::{Evaluation, Event, Metric};
use crate::summary::CurvePoint;

impl Trainer {
    pub(super) fn log(&mut self, report: &StepReport) -> Result<()> {
        let Running {
            steps,
            loss,
            terms,
            metrics,
            ..
        } = std::mem::take(&mut self.state.running);
        let (step, steps) = (self.state.step, steps as f64);
        let batches = (step * self.options.accumulate as u64) as f64;
        let mut values: Vec<(String, f64)> = vec![
            (
                "epoch".into(),
                batches / self.loader.batches_per_epoch() as f64,
            ),
            ("loss".into(), loss / steps),
        ];
        let value = |metric: &dyn Metric| {
            let name = metric.name();
            let sums = metrics.get(name).cloned().unwrap_or_default();
            (name.to_owned(), metric.value(&sums))
        };
        let measured: Vec<(String, f64)> = self.metrics.iter().map(|m| value(m.as_ref())).collect();
        values.extend(measured.iter().cloned());
        let term = |(name, sum): (String, f64)| (format!("loss/{name}"), sum / steps);
        values.extend(terms.into_iter().map(term));
        values.push(("learning_rate".into(), report.learning_rate));
        values.push(("gradient_norm".into(), report.gradient_norm));
        values.push(("examples_per_second".into(), self.examples_per_second()));
        values.push(("seconds".into(), self.wall_seconds()));
        self.state.train_curve.push(CurvePoint {
            step,
            loss: loss / steps,
            metrics: measured.into_iter().collect(),
        });
        self.sink.record(&Event {
            kind: "train",
            step,
            values,
        })
    }

    pub(super) fn validate(&mut self) -> Result<()> {
        let Some(validation) = self.validation.clone() else {
            return Ok(());
        };
        let found = self.evaluate(&validation)?;
        let step = self.state.step;
        let mut text = format!("step {step}: validation loss {:.3}", found.loss);
        for (name, value) in &found.metrics {
            text += &format!(" {name} {value:.3}");
        }
        self.renderer.note(&text);
        self.record_evaluation("validation", &found)?;
        self.state
            .validation_curve
            .push(CurvePoint::new(step, found));
        Ok(())
    }

    /// Records the result of an evaluation, with `kind` as event, at the present step.
    ///
    /// # Errors
    /// The sink fails.
    pub fn record_evaluation(&mut self, kind: &'static str, found: &Evaluation) -> Result<()> {
        let mut values = vec![("loss".into(), found.loss)];
        values.extend(found.metrics.iter().cloned());
        values.push(("examples".into(), found.examples as f64));
        values.push(("seconds".into(), self.wall_seconds()));
        self.sink.record(&Event {
            kind,
            step: self.state.step,
            values,
        })
    }
}
