//! Stage 2: from link probabilities to sampled links.
//!
//! [`relaxed`] draws the soft links used in training, as log samples that are added to attention
//! scores. [`hard`] draws 0/1 links, or applies a threshold, and gives a sparse graph; it reads the
//! probabilities block by block from a [`LinkSource`], or lets it choose the links itself:
//! [`signature_links`] samples a large graph straight from signatures without a dense matrix.

pub mod hard;
pub mod relaxed;
pub mod signature_links;
pub mod source;

mod prefilter;

pub use hard::{SelfEdges, hard_sample, hard_sample_from, threshold};
pub use relaxed::RelaxedBernoulli;
pub use signature_links::SignatureLinks;
pub use source::{DenseLinks, LinkSource};
