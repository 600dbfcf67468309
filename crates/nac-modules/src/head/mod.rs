//! Heads: from states of read-out modules to logits.

mod confidence_pooling;
mod first_slot;

pub use confidence_pooling::ConfidencePooling;
pub use first_slot::FirstSlot;
pub use nac_core::model::{HeadConfig, HeadKind, PoolingSoftmax};
