//! A run on several processes: what they tell each other.
//!
//! Every process takes its [`Share`](nac_data::Share) of each batch. After the backward pass the gradients are summed, each
//! weighted by its examples, so that all processes change their weights alike.

mod exchange;
mod reducer;

pub use exchange::agree;
pub(crate) use exchange::{Shared, exchange};
pub(crate) use reducer::Reducer;
