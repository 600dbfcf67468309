//! Graph priors: the link probabilities a circuit is drawn towards.
//!
//! A prior gives a graphon, the matrix of link probabilities between `n` modules. Training can pull
//! the circuit's own link probabilities towards it, and
//! [`hard_sample_from`](crate::sampling::hard_sample_from) draws graphs from it. One file each; your
//! own prior is any type that implements [`GraphPrior`]. [`PriorConfig`] names the built-in ones in
//! configuration files.

mod complete;
mod config;
mod erdos_renyi;
mod planted_partition;
mod ring_of_cliques;
mod scale_free;
mod watts_strogatz;

pub use complete::Complete;
pub use config::PriorConfig;
pub use erdos_renyi::ErdosRenyi;
pub use planted_partition::PlantedPartition;
pub use ring_of_cliques::RingOfCliques;
pub use scale_free::ScaleFree;
pub use watts_strogatz::WattsStrogatz;

use ndarray::Array2;

use crate::CoreError;

/// A distribution over graphs, given by the probability of each link.
pub trait GraphPrior: Send + Sync + std::fmt::Debug {
    /// Short name, as used in configuration files.
    fn name(&self) -> &str;

    /// The graphon of `n` modules: link probabilities in `[0, 1]`, symmetric (unless the prior says
    /// otherwise), diagonal included.
    ///
    /// # Shapes
    /// - result: `[n, n]`
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] if `n` is 0 or does not go with the prior's parameters.
    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError>;
}

pub(crate) fn check_modules(op: &'static str, n: usize) -> Result<(), CoreError> {
    if n == 0 {
        return Err(CoreError::parameter(op, "n", n, "at least 1"));
    }
    Ok(())
}

pub(crate) fn check_probability(
    op: &'static str,
    parameter: &'static str,
    value: f64,
) -> Result<(), CoreError> {
    if !(0.0..=1.0).contains(&value) {
        return Err(CoreError::parameter(op, parameter, value, "in [0, 1]"));
    }
    Ok(())
}

pub(crate) fn check_clusters(
    op: &'static str,
    parameter: &'static str,
    clusters: usize,
    n: usize,
) -> Result<(), CoreError> {
    check_modules(op, n)?;
    if !(1..=n).contains(&clusters) {
        let expected = "at least 1 and at most the number of modules";
        return Err(CoreError::parameter(op, parameter, clusters, expected));
    }
    Ok(())
}

/// Cluster of module `i` when `n` modules are cut into contiguous clusters whose sizes differ by
/// at most one.
pub(crate) fn cluster_of(i: usize, n: usize, clusters: usize) -> usize {
    // In u128, so that no size overflows.
    (i as u128 * clusters as u128 / n as u128) as usize
}
