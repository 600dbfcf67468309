//! AdamW, its parameter groups, gradient clipping, and the learning rate over the steps.

mod adamw;
mod clip;
mod groups;
mod schedule;

pub use adamw::AdamW;
pub use clip::{clip, global_norm};
pub use groups::decays;
pub use schedule::Schedule;
