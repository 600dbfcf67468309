//! What changes the weights: optimizers, the learning rate over the steps, gradient clipping.

mod adamw;
mod clip;
mod groups;
mod optimizer;
mod schedule;
mod warmup_cosine;

pub use adamw::AdamW;
pub use clip::{clip, global_norm};
pub use groups::decays;
pub use optimizer::{Frozen, Optimizer};
pub use schedule::Schedule;
pub use warmup_cosine::WarmupCosine;
