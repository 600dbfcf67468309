//! Planted partition (stochastic block model): clusters that are dense inside, sparse outside.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{GraphPrior, check_clusters, check_probability, cluster_of};
use crate::CoreError;

/// Contiguous clusters; links have probability `p_in` within a cluster and `p_out` between two.
///
/// If the clusters do not divide the modules evenly, their sizes differ by at most one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantedPartition {
    /// Number of clusters. Default 10.
    pub clusters: usize,
    /// Link probability within a cluster. Default 0.9.
    pub p_in: f64,
    /// Link probability between clusters. Default 0.05.
    pub p_out: f64,
}

impl Default for PlantedPartition {
    fn default() -> Self {
        Self {
            clusters: 10,
            p_in: 0.9,
            p_out: 0.05,
        }
    }
}

impl GraphPrior for PlantedPartition {
    fn name(&self) -> &str {
        "planted-partition"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        check_clusters("PlantedPartition", "clusters", self.clusters, n)?;
        check_probability("PlantedPartition", "p_in", self.p_in)?;
        check_probability("PlantedPartition", "p_out", self.p_out)?;
        let cluster = |i| cluster_of(i, n, self.clusters);
        Ok(Array2::from_shape_fn((n, n), |(i, j)| {
            if cluster(i) == cluster(j) {
                self.p_in
            } else {
                self.p_out
            }
        }))
    }
}
