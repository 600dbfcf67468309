//! A trained circuit ready to run: generator, read-in, propagators, read-out, head.
//!
//! Whatever depends on signatures and codes alone is computed here, once for them; a [`Plan`] is what remains to be done for an
//! input.

mod buffers;
pub(crate) mod generator;
mod head;
mod load;
mod observer;
mod plan;
mod propagation;
pub(crate) mod read_in;
pub(crate) mod read_out;
pub(crate) mod skmdpa;
mod step;
mod token_store;

pub(crate) use buffers::{Buffers, TokenCount};
pub(crate) use head::Head;
pub(crate) use load::{circuit, circuit_of};
pub use observer::States;
pub(crate) use observer::{Observer, collect_states};
pub(crate) use plan::{Plan, Plans};
pub(crate) use propagation::Propagation;
pub(crate) use read_out::ReadOut;
pub(crate) use step::{InputMixer, Step};
pub(crate) use token_store::TokenStore;
