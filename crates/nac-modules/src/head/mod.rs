//! Heads: from states of read-out modules to logits.

mod confidence_pooling;

pub use confidence_pooling::ConfidencePooling;
