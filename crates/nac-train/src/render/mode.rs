//! Which renderer a program takes.

use nac_data::output;

use super::bar::Bar;
use super::lines::Lines;
use super::renderer::{Quiet, Renderer};

/// How progress is shown on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgressMode {
    /// [`Bar`](Self::Bar) if standard error is a terminal that can draw one ([`output::can_draw`]), else
    /// [`Lines`](Self::Lines).
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line every few seconds.
    Lines,
    /// Nothing.
    Quiet,
}

impl ProgressMode {
    /// This mode, with `Auto` resolved for this terminal.
    #[must_use]
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto if output::can_draw() => Self::Bar,
            Self::Auto => Self::Lines,
            other => other,
        }
    }

    /// The renderer of this mode, with `label` before what it shows.
    pub fn renderer(self, label: impl Into<String>) -> Box<dyn Renderer> {
        match self.resolve() {
            Self::Bar => Box::new(Bar::new(label)),
            Self::Quiet => Box::new(Quiet),
            Self::Lines | Self::Auto => Box::new(Lines::new(label)),
        }
    }
}
