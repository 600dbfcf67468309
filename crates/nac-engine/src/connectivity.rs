//! Whether modules attend to each other along the edges of a graph, or all at once.

use std::sync::Arc;

use super::error::Result;
use nac_core::{CoreError, Csr};

/// How attention between modules is computed. Results are the same but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// Edge by edge where links are cut and at most a tenth of all pairs is left (a twentieth in
    /// [`Precision::Bf16`](super::Precision::Bf16)), otherwise [`Dense`](Self::Dense).
    #[default]
    Auto,
    /// Every receiver attends to every sender. A layer takes memory for each pair.
    Dense,
    /// Edge by edge wherever links are cut, however many are left; keys and values are in single precision. A layer
    /// takes memory for each edge, also while it is loaded.
    ///
    /// Read-outs whose links are not cut stay dense; a propagator whose links are not cut is an error.
    Sparse,
}

/// Connections beyond the settings of the model.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    pub(crate) connectivity: Connectivity,
    pub(crate) min_probability: Option<f64>,
    pub(crate) graph: Option<Arc<Csr>>,
}

impl Wiring {
    /// The settings of the model alone.
    pub(crate) const PLAIN: Self = Self {
        connectivity: Connectivity::Auto,
        min_probability: None,
        graph: None,
    };

    pub(crate) fn new(
        connectivity: Connectivity,
        min_probability: Option<f64>,
        graph: Option<Arc<Csr>>,
    ) -> Result<Self> {
        let op = "EngineOptions";
        if let Some(p) = min_probability.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            let expected = "greater than 0 and at most 1";
            return Err(CoreError::parameter(op, "min_link_probability", p, expected).into());
        }
        let logs = graph.as_ref().and_then(|graph| graph.values());
        if let Some(log) = logs.unwrap_or_default().iter().find(|log| **log > 0.0) {
            let expected = "the logarithm of a probability";
            return Err(CoreError::parameter(op, "graph: weight", log, expected).into());
        }
        Ok(Self {
            connectivity,
            min_probability,
            graph,
        })
    }

    /// Whether it is what every model can do.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = self.min_probability.is_none() && self.graph.is_none();
        plain && self.connectivity != Connectivity::Sparse
    }
}
