//! One measurement in one process: a model, an engine, a pass.
//!
//! The program `nac-measure` is a thin front of this module. A fresh process for each measurement keeps allocator,
//! caches of primitives and peak memory of one from those of another.

mod engine;
mod memory;
mod record;
mod run;

pub use engine::{Batch, Engine, EngineKind, Pass, Weights, open};
pub use memory::Memory;
pub use record::{Difference, Logits, Measurement, Seconds};
pub use run::{Options, resolve, run};
