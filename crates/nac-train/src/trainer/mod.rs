//! The training loop, for any model, data set, loss, metric, optimizer, sink and checkpoint store.
//!
//! ```text
//! batch ──gradients──► Gradients ──merge──► Gradients ──update──► new weights
//! ```
//!
//! A step is split in two: [`Trainer::gradients`] runs model, losses and backward pass on one batch;
//! [`Trainer::update`] clips, and steps the optimizer. Gradients of several batches are put together in between by
//! [`Gradients::merge`].
//!
//! Random draws are functions of seed and step (noise), of seed, epoch and index (data): a run that is saved
//! and resumed takes the very same steps, on the CPU bit for bit.

mod batches;
mod builder;
mod coverage;
mod evaluate;
mod executor;
mod fit;
mod gradients;
mod interrupt;
mod observe;
mod options;
mod reduce;
mod resume;
#[cfg(unix)]
mod signals;
mod state;
mod step;
mod stop_signal;

pub use builder::TrainerBuilder;
pub use evaluate::evaluate;
pub use gradients::{Gradients, StepReport};
pub use interrupt::Interrupt;
pub use options::TrainerOptions;
#[cfg(unix)]
pub use signals::handled_signals;
pub use state::{Outcome, Trainer};
pub use stop_signal::StopSignal;
