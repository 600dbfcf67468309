//! The circuit executor: read-in, propagators, read-out.

mod code_noise;
mod config;
mod executor;
mod propagator;
mod read_in;
mod read_out;
mod states;

pub use config::{CircuitConfig, WiringConfig};
pub use executor::CircuitExecutor;
pub use propagator::{Propagator, PropagatorConfig};
pub use read_in::{ReadIn, ReadInConfig, ReadInKind};
pub use read_out::{ReadOut, ReadOutConfig};
pub use states::ModuleStates;
