//! Layers that act on each module or token by itself.

mod convnext_block;
mod drop_path;
mod feed_forward;
mod geglu;
mod layer_scale;
mod linear;
mod mod_fc;
mod mod_ffn;
mod norm;
mod operands;
mod positional_grid;
mod preprocess;
mod project;
mod projection;
mod recompute;
mod recompute_projection;
mod recurrence;
mod residual;
mod scan;
mod wmod_fc;

pub use convnext_block::{ConvNextBlock, LayerNorm2d};
pub use drop_path::DropPath;
pub use feed_forward::{FeedForward, activate};
pub use layer_scale::LayerScale;
pub use linear::Linear;
pub use mod_fc::ModFc;
pub use mod_ffn::ModFfn;
pub use nac_core::model::{
    Activation, ModFcConfig, ModFfnConfig, ProjectionKind, ScaleNormalization,
};
pub use norm::LayerNorm;
pub use positional_grid::PositionalGrid;
pub(crate) use preprocess::Preprocess;
pub(crate) use project::{project, project_residual};
pub use projection::Projection;
pub use recurrence::Recurrence;
pub(crate) use residual::Residual;
pub use scan::{CHUNK, filtered_scan, linear_scan};
pub use wmod_fc::WModFc;
