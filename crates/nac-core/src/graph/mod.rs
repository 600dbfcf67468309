//! Stage 4: statistics of sampled graphs, and given graphs to start from.
//!
//! [`stats`] and [`paths`] measure a graph; [`generator`] makes random and regular ones; [`signature_fit`]
//! finds signatures whose links come close to a given graph.

pub mod generator;
pub mod paths;
pub mod signature_fit;
pub mod stats;

pub use generator::GraphGenerator;
pub use paths::{hop_distances, is_connected};
pub use stats::{
    clustering_coefficient, degree_histogram, density, effective_modules, mean_degree,
};
