//! Shows how far a run is: the seam between the trainer and a terminal, or whatever else displays progress.

mod bar;
mod lines;
mod mode;
mod renderer;

pub use bar::Bar;
pub use lines::Lines;
pub use mode::ProgressMode;
pub use renderer::{Quiet, Renderer, StepProgress};
