//! The links of a layer, and whether attention is computed for all pairs or edge by edge.

use std::sync::Arc;

use ndarray::ArrayView2;

use super::edges::{EdgeSet, Logs};
use super::links::{LinkSettings, Links, from_logs, links};
use crate::backend::Precision;
use crate::connectivity::{Connectivity, Wiring};
use crate::error::{EngineError, Result};

/// Share of pairs up to which edges are surely faster than all pairs.
///
/// Half of the lowest density at which both cost the same in `cargo bench -p nac-engine -- propagator/density`: 0.19 to
/// 0.25 on a Zen 4 core, for 320 and 2,560 modules with 4 heads of 16 and 8 heads of 64.
const DENSITY: f64 = 0.1;
/// The same where products of all pairs are in bfloat16, which keys and values are with 8-bit weights too: 0.10 to 0.22.
const DENSITY_BF16: f64 = 0.05;

/// Links of receivers to sets of senders.
#[derive(Debug, Clone)]
pub(crate) enum Connections {
    /// Every receiver attends to every sender, weighted by the links to each set; without any, all links are one.
    Dense(Vec<Links>),
    /// Receivers attend along the edges from each set only.
    Sparse(Vec<Arc<EdgeSet>>),
}

/// What decides about the connections of a layer, besides its kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionOptions<'a> {
    pub(crate) wiring: &'a Wiring,
    pub(crate) precision: Precision,
    /// Whether it is a propagator.
    pub(crate) is_propagator: bool,
}

impl Connections {
    /// All links are one.
    pub(crate) const ALL: Self = Self::Dense(Vec::new());

    /// Links by signatures, `[modules, signature]`, or by the graph that was given for processors.
    pub(crate) fn new(
        options: ConnectionOptions<'_>,
        settings: &LinkSettings,
        receivers: ArrayView2<'_, f32>,
        senders: &[ArrayView2<'_, f32>],
    ) -> Result<Self> {
        let wiring = options.wiring;
        let counts: Vec<usize> = senders.iter().map(ArrayView2::nrows).collect();
        let all: usize = counts.iter().sum();
        let pairs = receivers.nrows() * all;
        let graph = wiring.graph.as_deref().filter(|_| options.is_propagator);
        if graph.is_some() && senders.len() > 1 {
            let reason = "it says nothing about links of read-in modules";
            return Err(EngineError::unsupported(
                "wiring.read_in_sends_to_processors",
                true,
                reason,
            ));
        }
        let min_probability = wiring
            .min_probability
            .filter(|_| settings.mask || settings.scale);
        let asks = graph.is_some() || min_probability.is_some();
        let sparse = wiring.connectivity == Connectivity::Sparse;
        if asks && !settings.mask {
            let reason = "a link that is left out must be left out of the softmax too";
            let setting = "mask_attn_scores_with_affinities";
            return Err(EngineError::unsupported(setting, false, reason));
        }
        if !asks && !settings.cuts() {
            if sparse && options.is_propagator {
                let reason = "the settings of the propagator cut no link, so every pair is an edge";
                return Err(EngineError::unsupported(
                    "connectivity",
                    wiring.connectivity,
                    reason,
                ));
            }
            return Ok(Self::Dense(links(settings, receivers, senders)?));
        }
        let density = match options.precision {
            Precision::F32 => DENSITY,
            Precision::Bf16 | Precision::Int8 => DENSITY_BF16,
        };
        let few = match wiring.connectivity {
            Connectivity::Sparse => pairs,
            Connectivity::Auto => (density * pairs as f64) as usize,
            Connectivity::Dense => 0,
        };
        let edges = match graph {
            Some(graph) => Some(Logs::of_graph(graph, (receivers.nrows(), all))?),
            // Too many of them may as well stay uncounted, if all pairs come to the same.
            None if !asks && wiring.connectivity == Connectivity::Dense => None,
            None => {
                let limit = if asks { pairs } else { few };
                Logs::of_signatures(settings, min_probability, receivers, senders, limit)?
            }
        };
        Ok(match edges {
            Some(edges) if sparse || edges.count() <= few => {
                let sets = edges.sets(settings, &counts);
                Self::Sparse(sets.into_iter().map(Arc::new).collect())
            }
            Some(edges) => Self::Dense(from_logs(settings, &edges.dense(all), &counts)),
            None => Self::Dense(links(settings, receivers, senders)?),
        })
    }

    /// Number of edges, if it is sparse.
    pub(crate) fn edges(&self) -> Option<usize> {
        match self {
            Self::Dense(_) => None,
            Self::Sparse(sets) => Some(sets.iter().map(|set| set.count()).sum()),
        }
    }
}
