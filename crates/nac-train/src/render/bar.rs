//! A progress bar on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use nac_data::output;

use super::renderer::{Renderer, StepProgress};

const TEMPLATE: &str = "{prefix} {bar:30} {pos}/{len} {msg} ETA {eta}";

/// Shows a bar; notes stay above it.
#[derive(Debug)]
pub struct Bar {
    label: String,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar after `label`.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            bar: None,
        }
    }
}

impl Renderer for Bar {
    fn start(&mut self, first_step: u64, steps: u64) {
        let style = ProgressStyle::with_template(TEMPLATE);
        let bar = ProgressBar::new(steps)
            .with_position(first_step)
            .with_prefix(self.label.clone())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn step(&mut self, progress: &StepProgress<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_position(progress.step);
            bar.set_message(progress.to_string());
        }
    }

    fn note(&mut self, text: &str) {
        let line = format!("{}: {text}", self.label);
        match &self.bar {
            // A bar that is not drawn would swallow the line.
            Some(bar) if !bar.is_hidden() => bar.println(line),
            _ => output::note(line),
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}
