//! Which receivers attend to which senders, where few pairs are linked.

use nac_core::Csr;

use crate::error::{EngineError, Result};

/// Edges from senders to receivers, receiver by receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeGraph {
    /// Where the edges of each receiver start, and where the last ones end.
    offsets: Vec<usize>,
    edge_senders: Vec<u32>,
    senders: usize,
    most_edges: usize,
}

impl EdgeGraph {
    /// The edges of `graph`, without its values.
    ///
    /// # Errors
    /// There are 2³² senders or more.
    pub fn new(graph: &Csr) -> Result<Self> {
        let (_, senders) = graph.shape();
        if u32::try_from(senders).is_err() {
            let reason = "edges count senders in 32 bits";
            return Err(EngineError::unsupported("senders", senders, reason));
        }
        Ok(Self {
            offsets: graph.offsets().to_vec(),
            edge_senders: graph
                .columns()
                .iter()
                .map(|sender| *sender as u32)
                .collect(),
            senders,
            most_edges: graph.rows().map(<[usize]>::len).max().unwrap_or(0),
        })
    }

    /// Number of receivers.
    pub fn receivers(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of senders.
    pub fn senders(&self) -> usize {
        self.senders
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.edge_senders.len()
    }

    /// Most edges of one receiver.
    pub(super) fn most_edges(&self) -> usize {
        self.most_edges
    }

    /// For each receiver the index of its first edge, and its edges' senders.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let ends = self.offsets.windows(2);
        ends.map(|ends| (ends[0], &self.edge_senders[ends[0]..ends[1]]))
    }
}
