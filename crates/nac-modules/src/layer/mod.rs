//! Layers that act on each module or token by itself.

mod convnext_block;
mod drop_path;
mod feed_forward;
mod linear;
mod mod_fc;
mod mod_ffn;
mod norm;
mod positional_grid;

pub use convnext_block::{ConvNextBlock, LayerNorm2d};
pub use drop_path::DropPath;
pub use feed_forward::{Activation, FeedForward};
pub use linear::Linear;
pub use mod_fc::{ModFc, ModFcConfig};
pub use mod_ffn::{ModFfn, ModFfnConfig};
pub use norm::LayerNorm;
pub use positional_grid::PositionalGrid;
