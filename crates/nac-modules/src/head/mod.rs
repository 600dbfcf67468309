//! Heads: from states of read-out modules to logits.

mod confidence_pooling;
mod config;
mod first_slot;

pub use confidence_pooling::ConfidencePooling;
pub use config::{HeadConfig, HeadKind, PoolingSoftmax};
pub use first_slot::FirstSlot;
