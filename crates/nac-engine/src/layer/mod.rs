//! Layers on blocks of items. Whatever does not depend on the input is computed when they are loaded.

mod feed_forward;
mod norm;
mod packed;
mod precompute;
mod projection;

pub(crate) use feed_forward::{FeedForward, layer_scale};
pub(crate) use norm::Norm;
pub(crate) use projection::{Modulation, Projection, Raw, Target};
