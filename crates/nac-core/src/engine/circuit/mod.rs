//! A trained circuit ready to run: generator, read-in, propagators, read-out.
//!
//! Whatever depends on signatures and codes alone is computed here, once; [`plan::Plan`] is what is left to do for an
//! input.

mod generator;
mod load;
pub(crate) mod plan;
mod read_in;
mod skmdpa;
mod step;

pub(crate) use load::circuit;
pub(crate) use plan::{Plan, Propagation, ReadOut, TokenSide};
pub(crate) use step::{Step, Uptake};
