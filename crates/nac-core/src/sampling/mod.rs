//! Stage 2: from link probabilities to sampled links.
//!
//! [`relaxed`] draws the soft links used in training, as log samples that are added to attention
//! scores. [`hard`] draws 0/1 links, or cuts at a threshold, into a sparse graph; it reads the
//! probabilities block by block from a [`LinkSource`], so a large graph is
//! sampled straight from signatures without a dense matrix.

pub mod hard;
pub mod relaxed;
pub mod source;

pub use hard::{SelfEdges, hard_sample, hard_sample_from, threshold};
pub use relaxed::RelaxedBernoulli;
pub use source::{DenseLinks, LinkSource, SignatureLinks};
