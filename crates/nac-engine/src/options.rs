//! How a model is run.

use std::sync::Arc;

use super::backend::Precision;
use super::connectivity::Connectivity;
use nac_core::Csr;

/// How a model is run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineOptions {
    /// Number of threads; 0, the default, for as many as the machine has. With 1, everything runs on the thread of the
    /// caller.
    pub threads: usize,
    /// Precision of matrix products. Default single precision.
    pub precision: Precision,
    /// Whether modules attend to each other along edges or all at once; the result is the same. Default
    /// [`Connectivity::Auto`].
    pub connectivity: Connectivity,
    /// Cuts links between modules with a probability below this, in `(0, 1]`, in propagators and read-out. Default
    /// none.
    ///
    /// This changes what the model computes: it was trained with all its links. A module that has only weaker links to
    /// its own kind keeps its self link, unless the kernel eliminates these.
    pub min_link_probability: Option<f64>,
    /// Edges between processors, `[receivers, senders]`, that replace those of their signatures in all
    /// propagators: for example a graph that was drawn with [`hard_sample_from`](nac_core::hard_sample_from). Default
    /// none.
    ///
    /// The weight of an edge is its log link probability, added to the scores; edges without weights have zero. A module
    /// without edges receives nothing. `min_link_probability` leaves this graph as it is.
    pub graph: Option<Arc<Csr>>,
}
