//! The circuit executor: read-in, propagators, read-out.

mod code_noise;
mod executor;
mod output;
mod propagator;
mod read_in;
mod read_out;
mod states;

pub use executor::CircuitExecutor;
pub use nac_core::model::{
    CircuitConfig, PropagatorConfig, ReadInConfig, ReadInKind, ReadOutConfig, WiringConfig,
};
pub use output::CircuitOutput;
pub use propagator::Propagator;
pub use read_in::ReadIn;
pub use read_out::ReadOut;
pub use states::ModuleStates;
