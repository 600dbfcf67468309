//! A plain line on standard error every few seconds.

use nac_data::output;
use std::time::{Duration, Instant};

use super::renderer::{Renderer, StepProgress};

/// Time between lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints a line every few seconds, and one for the last step.
#[derive(Debug)]
pub struct Lines {
    label: String,
    started: Instant,
    first_step: u64,
    last_line: Instant,
}

impl Lines {
    /// Lines that start with `label`.
    pub fn new(label: impl Into<String>) -> Self {
        let now = Instant::now();
        Self {
            label: label.into(),
            started: now,
            first_step: 0,
            last_line: now,
        }
    }

    fn eta(&self, progress: &StepProgress<'_>) -> String {
        let done = progress.step.saturating_sub(self.first_step).max(1) as f64;
        let left = progress.steps.saturating_sub(progress.step) as f64;
        clock(left * self.started.elapsed().as_secs_f64() / done)
    }
}

impl Renderer for Lines {
    fn start(&mut self, first_step: u64, _steps: u64) {
        let now = Instant::now();
        (self.first_step, self.started, self.last_line) = (first_step, now, now);
    }

    fn step(&mut self, progress: &StepProgress<'_>) {
        if self.last_line.elapsed() < INTERVAL && progress.step < progress.steps {
            return;
        }
        self.last_line = Instant::now();
        let StepProgress { step, steps, .. } = progress;
        let (label, eta) = (&self.label, self.eta(progress));
        output::note(format_args!(
            "{label}: step {step}/{steps} {progress} ETA {eta}"
        ));
    }

    fn note(&mut self, text: &str) {
        output::note(format_args!("{}: {text}", self.label));
    }
}

/// Seconds as `m:ss` or `h:mm:ss`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(
            (clock(0.4), clock(75.0), clock(3661.0)),
            ("0:00".into(), "1:15".into(), "1:01:01".into())
        );
    }

    #[test]
    fn a_step_reads_as_one_line() {
        let progress = StepProgress {
            step: 3,
            steps: 9,
            loss: 1.25,
            metric: Some(("accuracy", 0.5)),
            examples_per_second: 99.6,
        };
        assert_eq!(
            progress.to_string(),
            "loss 1.250 accuracy 0.500 100 examples/s"
        );
    }
}
