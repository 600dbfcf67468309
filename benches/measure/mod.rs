//! One measurement in one process: a model, an engine, a pass; or a graph, or a propagator.
//!
//! The program `nac-measure` is a thin wrapper of this module. A fresh process for each measurement keeps allocator,
//! caches of primitives and peak memory of one from those of another.

mod batch;
mod engine;
mod logits;
mod memory;
mod named;
mod propagator;
mod record;
mod run;
mod sample;

pub use batch::Batch;
pub use engine::{EngineKind, MeasuredModel, ModelSource, Pass, open, write_weights};
pub use memory::Memory;
pub use named::Named;
pub use propagator::{Over, Propagated, PropagatorOptions, propagate};
pub use record::{Difference, Logits, Measurement, Operations, Seconds};
pub use run::{Options, run};
pub use sample::{SampleOptions, Sampled, sample};
