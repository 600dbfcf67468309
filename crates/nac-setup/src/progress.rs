//! Progress of long work: a bar on a terminal, plain lines otherwise.

use nac_data::output;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nac_data::Progress;

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress on standard error.
pub struct Console {
    bars: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    what: String,
    unit: &'static str,
    total: Option<u64>,
    begun: Option<Instant>,
    line_at: Option<Instant>,
    done: u64,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// Bars where standard error is a terminal that can draw them and the environment does not say that this is CI.
    pub fn new() -> Self {
        let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty());
        Self {
            bars: output::can_draw() && !ci,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Console {
    fn start(&self, what: &str, total: Option<u64>, unit: &'static str) {
        let mut state = self.state();
        let now = Instant::now();
        *state = State {
            what: what.into(),
            unit,
            total,
            begun: Some(now),
            line_at: Some(now),
            ..State::default()
        };
        if self.bars {
            state.bar = Some(bar(what, total, unit));
        } else {
            output::note(format_args!(
                "{what}{}",
                total
                    .map(|t| format!(" ({})", amount(t, unit)))
                    .unwrap_or_default()
            ));
        }
    }

    fn at(&self, done: u64) {
        let mut state = self.state();
        state.done = done;
        if let Some(bar) = &state.bar {
            bar.set_position(done);
        } else if state.line_at.is_some_and(|at| at.elapsed() >= LINE_EVERY) {
            state.line_at = Some(Instant::now());
            output::note(format_args!(
                "  {}: {}",
                state.what,
                line(done, state.total, state.unit)
            ));
        }
    }

    fn finish(&self) {
        let mut state = self.state();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(begun) = state.begun.take() {
            let (what, took) = (&state.what, begun.elapsed().as_secs_f64());
            output::note(format_args!(
                "  {what}: {} in {took:.1} s",
                amount(state.done, state.unit)
            ));
        }
    }

    fn note(&self, text: &str) {
        match &self.state().bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

fn bar(what: &str, total: Option<u64>, unit: &str) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match (unit, total) {
        ("bytes", Some(_)) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ("bytes", None) => "{spinner} {msg} {bytes} {bytes_per_sec}",
        (_, Some(_)) => "{msg} {bar:30} {pos}/{len} {eta}",
        (_, None) => "{spinner} {msg} {pos}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

fn line(done: u64, total: Option<u64>, unit: &str) -> String {
    match total {
        Some(total) if total > 0 => {
            let percent = (done.min(total) * 100) / total;
            format!(
                "{percent} % ({} of {})",
                amount(done, unit),
                amount(total, unit)
            )
        }
        _ => amount(done, unit),
    }
}

/// `12.3 MB`, or `12 files`.
pub fn amount(number: u64, unit: &str) -> String {
    match (unit, number) {
        ("bytes", 0..1_000_000) => format!("{:.1} kB", number as f64 / 1e3),
        ("bytes", 0..1_000_000_000) => format!("{:.1} MB", number as f64 / 1e6),
        ("bytes", _) => format!("{:.2} GB", number as f64 / 1e9),
        _ => format!("{number} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        assert_eq!(amount(1_500, "bytes"), "1.5 kB");
        assert_eq!(amount(530_604_548, "bytes"), "530.6 MB");
        assert_eq!(amount(2_500_000_000, "bytes"), "2.50 GB");
        assert_eq!(amount(3, "files"), "3 files");
    }

    #[test]
    fn lines_show_percent_only_with_a_total() {
        assert_eq!(
            line(250, Some(1_000), "files"),
            "25 % (250 files of 1000 files)"
        );
        assert_eq!(line(250, None, "files"), "250 files");
        assert_eq!(line(0, Some(0), "files"), "0 files");
    }
}
