//! Progress of a run on a terminal or another display, behind a trait.

mod bar;
mod lines;
mod mode;
mod renderer;

pub use bar::Bar;
pub use lines::Lines;
pub use mode::ProgressMode;
pub use renderer::{Quiet, Renderer, StepProgress};
