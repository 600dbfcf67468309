//! A trained circuit ready to run: generator, read-in, propagators, read-out.
//!
//! Whatever depends on signatures and codes alone is computed here, once; [`plan::Plan`] is what is left to do for an
//! input.

mod buffers;
mod collect;
pub(crate) mod generator;
mod load;
pub(crate) mod plan;
pub(crate) mod read_in;
pub(crate) mod read_out;
pub(crate) mod skmdpa;
mod step;
mod token_side;

pub use collect::States;
pub(crate) use collect::collect;
pub(crate) use load::{circuit, propagation};
pub(crate) use plan::{Plan, Propagation};
pub(crate) use read_out::ReadOut;
pub(crate) use step::{Step, Uptake};
pub(crate) use token_side::TokenSide;
