//! Random and regular graphs between modules: what initial signatures can be fitted to.
//!
//! The kinds are those of the authors' code, which draws them with networkx. Names are the same, and
//! so are the statistics; a random graph's edges are our own, from a named stream. Every graph is
//! undirected (its [`Csr`] symmetric), without self edges and without weights.

mod edges;
mod random;
mod regular;

use serde::{Deserialize, Serialize};

use crate::prior::{check_clusters, check_modules, check_probability};
use crate::{CoreError, Csr, Stream};

/// A kind of graph with its parameters. In a file it is a table with the key `name` and the
/// parameters that differ from the default: `{ name = "erdos-renyi", p = 0.2 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
#[strum(serialize_all = "kebab-case")]
pub enum GraphGenerator {
    /// `complete`: every pair is linked.
    Complete {},
    /// `erdos-renyi`: every pair is linked with probability `p`.
    ErdosRenyi {
        /// Link probability. Default 0.1.
        #[serde(default = "erdos_renyi_p")]
        p: f64,
    },
    /// `watts-strogatz`: a ring in which each module is linked with its `k` nearest neighbours, and
    /// each of these links is then moved to a random end with probability `p`.
    WattsStrogatz {
        /// Number of neighbours, half on each side (an odd one is rounded down). Default: a tenth
        /// of the modules, rounded half to even.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        k: Option<usize>,
        /// Probability that a link is moved. Default 0.4.
        #[serde(default = "watts_strogatz_p")]
        p: f64,
    },
    /// `planted-partition`: contiguous clusters, links have probability `p_in` within one and
    /// `p_out` between two. Clusters that do not divide the modules evenly differ by one.
    PlantedPartition {
        /// Number of clusters (`l` in the authors' code). Default 10.
        #[serde(default = "parts", alias = "l")]
        clusters: usize,
        /// Link probability within a cluster. Default 0.9.
        #[serde(default = "planted_p_in")]
        p_in: f64,
        /// Link probability between clusters. Default 0.05.
        #[serde(default = "planted_p_out")]
        p_out: f64,
    },
    /// `barabasi-albert`: modules join one by one with `m` links each, to modules in proportion to
    /// the links these have. The start is a star of `m + 1` modules.
    BarabasiAlbert {
        /// Links that a new module brings. Default 2.
        #[serde(default = "barabasi_albert_m")]
        m: usize,
    },
    /// `ring-of-cliques`: contiguous complete clusters; the second module of each (the only one, if
    /// there is one only) is linked with the first module of the next, the last with the first.
    RingOfCliques {
        /// Number of cliques. Default 10.
        #[serde(default = "parts", alias = "num_cliques")]
        cliques: usize,
    },
    /// `grid-graph`: modules on a rectangle of two equal sides, or of the sides given, each linked with its
    /// neighbours in the four directions.
    GridGraph {
        /// Modules along the side in which the index grows by one. Default: the square root of all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<usize>,
        /// Whether opposite edges of the rectangle are linked. Default false.
        #[serde(default)]
        periodic: bool,
    },
    /// `barbell`: two complete halves with one link between them. The number of modules must be even.
    Barbell {},
    /// `hypercube`: modules whose indices differ in one bit. The number of modules must be a power of two.
    Hypercube {},
}

fn erdos_renyi_p() -> f64 {
    0.1
}

fn watts_strogatz_p() -> f64 {
    0.4
}

fn planted_p_in() -> f64 {
    0.9
}

fn planted_p_out() -> f64 {
    0.05
}

fn barabasi_albert_m() -> usize {
    2
}

fn parts() -> usize {
    10
}

impl GraphGenerator {
    /// The names that [`from_name`](Self::from_name) and configuration files accept.
    pub const NAMES: [&str; 9] = [
        "complete",
        "erdos-renyi",
        "watts-strogatz",
        "planted-partition",
        "barabasi-albert",
        "ring-of-cliques",
        "grid-graph",
        "barbell",
        "hypercube",
    ];

    /// The kind called `name`, with its default parameters.
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] for a name that is not in [`NAMES`](Self::NAMES).
    pub fn from_name(name: &str) -> Result<Self, CoreError> {
        Ok(match name {
            "complete" => Self::Complete {},
            "erdos-renyi" => Self::ErdosRenyi { p: erdos_renyi_p() },
            "watts-strogatz" => Self::WattsStrogatz {
                k: None,
                p: watts_strogatz_p(),
            },
            "planted-partition" => Self::PlantedPartition {
                clusters: parts(),
                p_in: planted_p_in(),
                p_out: planted_p_out(),
            },
            "barabasi-albert" => Self::BarabasiAlbert {
                m: barabasi_albert_m(),
            },
            "ring-of-cliques" => Self::RingOfCliques { cliques: parts() },
            "grid-graph" => Self::GridGraph {
                width: None,
                periodic: false,
            },
            "barbell" => Self::Barbell {},
            "hypercube" => Self::Hypercube {},
            _ => {
                let expected = "complete, erdos-renyi, watts-strogatz, planted-partition, \
                                barabasi-albert, ring-of-cliques, grid-graph, barbell or hypercube";
                let value = format!("{name:?}");
                return Err(CoreError::parameter(
                    "GraphGenerator",
                    "name",
                    value,
                    expected,
                ));
            }
        })
    }

    /// Name of the kind, as in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Checks the parameters for `n` modules.
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] naming the parameter.
    pub fn check(&self, n: usize) -> Result<(), CoreError> {
        let op = self.name();
        check_modules(op, n)?;
        match *self {
            Self::Complete {} => Ok(()),
            Self::ErdosRenyi { p } => check_probability(op, "p", p),
            Self::WattsStrogatz { k, p } => {
                check_probability(op, "p", p)?;
                match k {
                    Some(k) if k >= n => Err(CoreError::parameter(
                        op,
                        "k",
                        k,
                        "less than the number of modules",
                    )),
                    _ => Ok(()),
                }
            }
            Self::PlantedPartition {
                clusters,
                p_in,
                p_out,
            } => {
                check_clusters(op, "clusters", clusters, n)?;
                check_probability(op, "p_in", p_in)?;
                check_probability(op, "p_out", p_out)
            }
            Self::BarabasiAlbert { m } if (1..n).contains(&m) => Ok(()),
            Self::BarabasiAlbert { m } => {
                let expected = "at least 1 and less than the number of modules";
                Err(CoreError::parameter(op, "m", m, expected))
            }
            Self::RingOfCliques { cliques } => check_clusters(op, "cliques", cliques, n),
            Self::GridGraph { width, .. } => {
                let width = width.unwrap_or_else(|| n.isqrt());
                let expected = "a divisor of the number of modules";
                modules_are(
                    width > 0 && n.is_multiple_of(width),
                    (op, "width", width),
                    expected,
                )
            }
            Self::Barbell {} => modules_are(n.is_multiple_of(2), (op, "modules", n), "even"),
            Self::Hypercube {} => {
                modules_are(n.is_power_of_two(), (op, "modules", n), "a power of two")
            }
        }
    }

    /// A graph of `n` modules. `stream` is drawn from by the random kinds only.
    ///
    /// # Shapes
    /// - result: `[n, n]`
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn generate(&self, n: usize, stream: &mut Stream) -> Result<Csr, CoreError> {
        self.check(n)?;
        let edges = match *self {
            Self::Complete {} => regular::complete(n),
            Self::ErdosRenyi { p } => random::independent(n, stream, |_, _| p),
            Self::WattsStrogatz { k, p } => {
                let tenth = (n as f64 / 10.0).round_ties_even() as usize;
                random::watts_strogatz(n, k.unwrap_or(tenth), p, stream)
            }
            Self::PlantedPartition {
                clusters,
                p_in,
                p_out,
            } => random::planted_partition(n, clusters, (p_in, p_out), stream),
            Self::BarabasiAlbert { m } => random::barabasi_albert(n, m, stream),
            Self::RingOfCliques { cliques } => regular::ring_of_cliques(n, cliques),
            Self::GridGraph { width, periodic } => {
                regular::grid(n, width.unwrap_or_else(|| n.isqrt()), periodic)
            }
            Self::Barbell {} => regular::barbell(n),
            Self::Hypercube {} => regular::hypercube(n),
        };
        Ok(edges.into_csr())
    }
}

/// An error unless `fits`.
fn modules_are(
    fits: bool,
    (op, name, value): (&'static str, &'static str, usize),
    expected: &'static str,
) -> Result<(), CoreError> {
    if fits {
        Ok(())
    } else {
        Err(CoreError::parameter(op, name, value, expected))
    }
}

#[cfg(test)]
mod tests;
