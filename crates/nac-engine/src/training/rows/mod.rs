//! Operations on rows of features: layer norm, scaling by modulation, activation, and their gradients.
//!
//! Each is one pass over rows that lie one after the other. Gradients of what all rows share (gains, biases,
//! scales) are added to sums of the caller, who decides on the order.

mod activation;
mod elementwise;
mod norm;
mod scale;
mod source;

pub(super) use activation::{Activate, ActivateBackward, FactorBackward};
pub(super) use elementwise::{AddTo, Combine};
pub(super) use norm::{AffineBackward, Normalize, NormalizeAgain, NormalizeBackward};
pub(super) use scale::{Scale, ScaleBackward};
pub(super) use source::Rows;
