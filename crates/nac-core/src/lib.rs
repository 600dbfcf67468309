//! Kernel math and sparse connectivity of Neural Attentive Circuits, on ndarray and rayon.
//!
//! A circuit's modules each have a signature. How likely module `i` attends to module `j` depends on
//! how close their signatures are: `P_ij = exp(−d(s_i, s_j)/ε)` with `d = 1 − cos`. This crate goes
//! from signatures to sampled graphs, in the order of its modules:
//!
//! 1. [`kernel`] — signatures → cosine distance → link probability and its log, with truncation;
//! 2. [`sampling`] — relaxed Bernoulli log samples for training; hard samples and thresholds,
//!    streamed without a dense matrix;
//! 3. [`sparse`] — the checked CSR graph that hard sampling gives;
//! 4. [`graph`] — density, degrees, clustering, effective number of modules; graph generators, and
//!    fits that start signatures close to a graph;
//! 5. [`prior`] — graph priors (scale-free, planted partition, …) and the trait to add one;
//!    [`assignment`] — which module takes which node of a prior's graph.
//!
//! Apart from these steps, [`model`] holds the settings of whole models, their files and the models that
//! have names: all that is needed to build a model, apart from its weights. nac-engine runs a trained model
//! without libtorch; layers that can be trained are in nac-modules.
//!
//! [`digest`] is how damage is found in the files that this workspace writes and reads again.
//!
//! All randomness comes from the named streams of [`rng`], so a seed fixes every result, for any
//! number of threads. Rows are receivers, columns are senders. The math is generic over
//! [`Real`], that is `f32` and `f64`. Nothing here needs libtorch.
//!
//! ```
//! use nac_core::{LinkKernel, SelfEdges, SignatureLinks, Streams, graph, hard_sample_from};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let streams = Streams::new(0);
//! let mut values = vec![0.0_f32; 320 * 64];
//! streams.stream("signatures").fill_normal(&mut values);
//! let signatures = ndarray::Array2::from_shape_vec((320, 64), values)?; // [modules, signature_dim]
//! let kernel = LinkKernel::new(0.25)?.with_truncation(0.9)?;
//! let links = SignatureLinks::new(signatures.view(), signatures.view(), kernel)?;
//! let circuit = hard_sample_from(&links, streams.child("graph"), SelfEdges::Always)?;
//! println!("{} edges, mean degree {}", circuit.edges(), graph::mean_degree(&circuit));
//! # assert!(circuit.edges() > 320 && graph::density(&circuit) < 0.05);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod assignment;
pub mod digest;
pub mod graph;
pub mod kernel;
pub mod model;
pub mod prior;
pub mod rng;
pub mod sampling;
pub mod sparse;

mod error;
mod real;

pub use assignment::{Assignment, assign};
pub use error::CoreError;
pub use graph::GraphGenerator;
pub use kernel::{LinkKernel, cosine_distance, normalize_along_keys, normalize_signatures};
pub use model::ConfigError;
pub use prior::{GraphPrior, PriorConfig};
pub use real::Real;
pub use rng::{Stream, Streams};
pub use sampling::{
    DenseLinks, LinkSource, RelaxedBernoulli, SelfEdges, SignatureLinks, hard_sample,
    hard_sample_from, threshold,
};
pub use sparse::Csr;
