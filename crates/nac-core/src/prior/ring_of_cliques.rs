//! Ring of cliques: dense clusters, each with a hub that also reaches the next cluster.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, PlantedPartition, check_clusters, cluster_of};
use crate::CoreError;

/// A planted partition in which the first module of clique `c`, its hub, is linked with probability
/// 1 to every module of the cliques `c` and `c + 1`, in both directions.
///
/// As in the authors' code the last clique does not reach the first one unless `closed` is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RingOfCliques {
    /// Number of cliques. Default 10.
    pub cliques: usize,
    /// Link probability within a clique. Default 0.9.
    pub p_in: f64,
    /// Link probability between cliques. Default 0.05.
    pub p_out: f64,
    /// Whether the last clique's hub reaches the first clique. Default false.
    pub closed: bool,
}

impl Default for RingOfCliques {
    fn default() -> Self {
        Self {
            cliques: 10,
            p_in: 0.9,
            p_out: 0.05,
            closed: false,
        }
    }
}

impl GraphPrior for RingOfCliques {
    fn name(&self) -> &str {
        "ring-of-cliques"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_clusters("RingOfCliques", "cliques", self.cliques, n)?;
        let blocks = PlantedPartition {
            clusters: self.cliques,
            p_in: self.p_in,
            p_out: self.p_out,
        };
        let mut out = blocks.link_probabilities(n)?;
        let clique = |i| cluster_of(i, n, self.cliques);
        for hub in (0..n).filter(|&i| i == 0 || clique(i - 1) != clique(i)) {
            let own = clique(hub);
            let next = match own + 1 {
                next if next < self.cliques => next,
                _ if self.closed => 0,
                _ => own,
            };
            for i in (0..n).filter(|&i| clique(i) == own || clique(i) == next) {
                out[[hub, i]] = 1.0;
                out[[i, hub]] = 1.0;
            }
        }
        Ok(out)
    }
}
