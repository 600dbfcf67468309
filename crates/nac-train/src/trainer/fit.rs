//! The loop over the steps of a run.

use std::time::Instant;

use super::batches::Batches;
use super::gradients::StepReport;
use super::state::{Outcome, Trainer};
use super::stop_signal::StopSignal;
use crate::error::Result;
use crate::render::StepProgress;

impl Trainer {
    /// Trains up to the last step, evaluates and saves.
    ///
    /// # Errors
    /// A loss or gradient is not finite ([`TrainError::NotFinite`](crate::TrainError::NotFinite); the last checkpoint
    /// stays); data cannot be read; events or a checkpoint cannot be written.
    pub fn train(&mut self) -> Result<Outcome> {
        self.train_until(self.options.steps)
    }

    /// As [`train`](Self::train), up to `step` only. Another call goes on from there as if there had been no pause.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn train_until(&mut self, step: u64) -> Result<Outcome> {
        self.synchronize()?;
        self.renderer.start(self.state.step, self.options.steps);
        let outcome = self.remaining_steps(step.min(self.options.steps));
        self.renderer.finish();
        outcome
    }

    fn remaining_steps(&mut self, end: u64) -> Result<Outcome> {
        let first = self.state.step * self.options.accumulate as u64;
        let mut batches = Batches::starting_at(first);
        while self.state.step < end {
            let before = Instant::now();
            let report = self.step(&mut batches)?;
            self.count(&report, before);
            self.after_step(&report)?;
            let unfinished = self.state.step < self.options.steps;
            if let Some(signal) = self.asked_to_stop().filter(|_| unfinished) {
                self.save()?;
                return Ok(Outcome::Interrupted(signal));
            }
        }
        self.save()?;
        Ok(Outcome::Finished)
    }

    /// One optimizer step on [`TrainerOptions::accumulate`](super::TrainerOptions::accumulate) batches.
    fn step(&mut self, batches: &mut Batches) -> Result<StepReport> {
        let batch = batches.next(&self.loader)?;
        let mut gradients = self.gradients(&batch)?;
        for _ in 1..self.options.accumulate {
            let batch = batches.next(&self.loader)?;
            gradients.merge(self.gradients(&batch)?)?;
        }
        self.update(gradients)
    }

    /// What asked the run to end after this step. All processes find the same.
    fn asked_to_stop(&self) -> Option<StopSignal> {
        match self.group.size() {
            1 => self.interrupt.raised(),
            _ => self.stop,
        }
    }

    fn count(&mut self, report: &StepReport, before: Instant) {
        self.state.train_seconds += before.elapsed().as_secs_f64();
        self.state.examples += report.examples as u64;
        let running = &mut self.state.running;
        running.steps += 1;
        running.examples += report.examples as u64;
        running.loss += report.loss;
        for (name, value) in &report.terms {
            *running.terms.entry(name.clone()).or_default() += value;
        }
        for (metric, sums) in self.metrics.iter().zip(&report.metrics) {
            let name = metric.name().to_owned();
            running.metrics.entry(name).or_default().merge(sums);
        }
    }

    fn after_step(&mut self, report: &StepReport) -> Result<()> {
        let (step, last) = (self.state.step, self.state.step == self.options.steps);
        let due = |every: u64| last || (every > 0 && step.is_multiple_of(every));
        self.show_step();
        if due(self.options.log_every) {
            self.log(report)?;
        }
        if due(self.options.evaluate_every) {
            self.validate()?;
        }
        if due(self.options.checkpoint_every) {
            self.save()?;
        }
        Ok(())
    }

    fn show_step(&mut self) {
        let running = &self.state.running;
        let primary = self.metrics.first().map(|metric| metric.as_ref());
        let metric = primary.and_then(|metric| {
            let sums = running.metrics.get(metric.name())?;
            Some((metric.name(), metric.value(sums)))
        });
        self.renderer.step(&StepProgress {
            step: self.state.step,
            steps: self.options.steps,
            loss: running.loss / running.steps as f64,
            metric,
            examples_per_second: self.state.examples as f64 / self.state.train_seconds.max(1e-9),
        });
    }
}
