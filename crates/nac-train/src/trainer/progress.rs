//! Progress of a run: a bar on a terminal, a plain line every few seconds elsewhere. All on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgressMode {
    /// [`Bar`](Self::Bar) if standard error is a terminal, else [`Plain`](Self::Plain).
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line every few seconds.
    Plain,
    /// Nothing.
    Quiet,
}

/// Time between plain lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of one run.
#[derive(Debug)]
pub(super) struct Reporter {
    label: String,
    total: u64,
    bar: Option<ProgressBar>,
    plain: bool,
    started: Instant,
    first_step: u64,
    last_line: Instant,
}

/// What is shown of a step.
pub(super) struct Shown {
    pub(super) step: u64,
    pub(super) loss: f64,
    pub(super) accuracy: f64,
    pub(super) examples_per_second: f64,
}

impl Reporter {
    pub(super) fn new(mode: ProgressMode, label: &str, first_step: u64, total: u64) -> Self {
        let mode = match mode {
            ProgressMode::Auto if std::io::stderr().is_terminal() => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            other => other,
        };
        let bar = (mode == ProgressMode::Bar).then(|| {
            let bar = ProgressBar::new(total).with_position(first_step);
            let template = "{prefix} {bar:30} {pos}/{len} {msg} ETA {eta}";
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(label.to_owned());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        let plain = mode == ProgressMode::Plain;
        Self {
            label: label.to_owned(),
            total,
            bar,
            plain,
            started: now,
            first_step,
            last_line: now,
        }
    }

    pub(super) fn step(&mut self, shown: &Shown) {
        let Shown {
            step,
            loss,
            accuracy,
            examples_per_second,
        } = shown;
        let text =
            format!("loss {loss:.3} accuracy {accuracy:.3} {examples_per_second:.0} examples/s");
        if let Some(bar) = &self.bar {
            bar.set_position(*step);
            bar.set_message(text);
        } else if self.plain && (self.last_line.elapsed() >= INTERVAL || *step == self.total) {
            self.last_line = Instant::now();
            let (label, total, eta) = (&self.label, self.total, self.eta(*step));
            eprintln!("{label}: step {step}/{total} {text} ETA {eta}");
        }
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        let line = format!("{}: {text}", self.label);
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.plain => eprintln!("{line}"),
            None => {}
        }
    }

    fn eta(&self, step: u64) -> String {
        let done = step.saturating_sub(self.first_step).max(1) as f64;
        let left =
            self.total.saturating_sub(step) as f64 * self.started.elapsed().as_secs_f64() / done;
        clock(left)
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
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
}
