//! Training of Neural Attentive Circuits.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod batch;
pub mod checkpoint;
pub mod config;
mod error;
pub mod loss;
pub mod metrics;
pub mod optim;
mod storage;
pub mod summary;
pub mod testing;
pub mod trainer;

pub use error::{Result, TrainError};
