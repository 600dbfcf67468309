//! Stage 4: what a sampled graph looks like.

pub mod stats;

pub use stats::{
    clustering_coefficient, degree_histogram, density, effective_modules, mean_degree,
};
