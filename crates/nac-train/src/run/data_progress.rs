//! Progress of getting and generating data, on standard error.

use nac_data::output;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::render::ProgressMode;

/// Time between plain lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Shows a bar on a terminal, a plain line every few seconds elsewhere.
#[derive(Debug, Default)]
pub struct DataProgress {
    mode: ProgressMode,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    what: String,
    total: Option<u64>,
    unit: &'static str,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl DataProgress {
    /// Progress in this mode.
    pub fn new(mode: ProgressMode) -> Self {
        Self {
            mode,
            current: Mutex::default(),
        }
    }

    fn with(&self, action: impl FnOnce(&mut Option<Current>)) {
        // A poisoned lock only means that a line was not finished.
        action(
            &mut self
                .current
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }
}

impl nac_data::Progress for DataProgress {
    fn start(&self, what: &str, total: Option<u64>, unit: &'static str) {
        if self.mode == ProgressMode::Quiet {
            return;
        }
        let bar = (self.mode.resolve() == ProgressMode::Bar).then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let count = if unit == "bytes" {
                "{bytes}/{total_bytes}"
            } else {
                "{pos}/{len}"
            };
            let template = format!("{{prefix}} {{bar:30}} {count} ETA {{eta}}");
            bar.set_style(
                ProgressStyle::with_template(&template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.with_prefix(what.to_owned())
        });
        let current = Current {
            what: what.to_owned(),
            total,
            unit,
            bar,
            last_line: Instant::now(),
        };
        self.with(|slot| *slot = Some(current));
    }

    fn at(&self, done: u64) {
        self.with(|slot| {
            let Some(current) = slot else { return };
            if let Some(bar) = &current.bar {
                bar.set_position(done);
            } else if current.last_line.elapsed() >= INTERVAL {
                current.last_line = Instant::now();
                let total = current
                    .total
                    .map_or_else(String::new, |total| format!("/{total}"));
                output::note(format_args!(
                    "{}: {done}{total} {}",
                    current.what, current.unit
                ));
            }
        });
    }

    fn finish(&self) {
        self.with(|slot| {
            if let Some(bar) = slot.take().and_then(|current| current.bar) {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, text: &str) {
        if self.mode != ProgressMode::Quiet {
            output::note(text);
        }
    }
}
