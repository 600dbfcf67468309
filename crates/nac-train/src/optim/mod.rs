//! What changes the weights: optimizers, the learning rate over the steps, gradient clipping.

mod adamw;
mod clip;
mod groups;
mod host;
mod optimizer;
mod schedule;
mod trained;
mod warmup_cosine;

pub use adamw::AdamW;
pub use clip::{clip_factor, global_norm, scale};
pub use groups::decays;
pub use optimizer::{Frozen, Optimizer};
pub use schedule::Schedule;
pub use trained::{matches, set_trained};
pub use warmup_cosine::WarmupCosine;
