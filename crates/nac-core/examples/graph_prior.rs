//! Adds a new graph prior, then draws a sparse graph from it.
//!
//! The prior is a ring on which links fade with distance, plus a small probability of a link anywhere.
//! All it takes is a type that implements `GraphPrior`.
//!
//! Run with `cargo run -p nac-core --example graph_prior`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use nac_core::{CoreError, DenseLinks, GraphPrior, SelfEdges, Streams, graph, hard_sample_from};
use ndarray::Array2;

/// Link probability `far + (1 − far)·exp(−ring distance / reach)`.
#[derive(Debug)]
struct FadingRing {
    reach: f64,
    far: f64,
}

impl GraphPrior for FadingRing {
    fn name(&self) -> &str {
        "fading-ring"
    }

    fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        if !(self.reach.is_finite() && self.reach > 0.0) {
            return Err(CoreError::parameter(
                "FadingRing",
                "reach",
                self.reach,
                "finite and greater than 0",
            ));
        }
        Ok(Array2::from_shape_fn((n, n), |(i, j)| {
            let apart = i.abs_diff(j);
            let around = apart.min(n - apart) as f64;
            self.far + (1.0 - self.far) * (-around / self.reach).exp()
        }))
    }
}

fn main() -> Result<(), CoreError> {
    let modules = 320;
    let prior: Box<dyn GraphPrior> = Box::new(FadingRing {
        reach: 4.0,
        far: 0.01,
    });
    let graphon = prior.link_probabilities(modules)?;
    let streams = Streams::new(0).child(prior.name());
    let sample = hard_sample_from(&DenseLinks(graphon.view()), streams, SelfEdges::Always)?;

    let histogram = graph::degree_histogram(&sample.receiver_degrees());
    let clustering = graph::clustering_coefficient(&sample)?;
    println!(
        "{} on {modules} modules: {} edges",
        prior.name(),
        sample.edges()
    );
    println!("density {:.4}", graph::density(&sample));
    println!("mean degree {:.2}", graph::mean_degree(&sample));
    println!("clustering {clustering:.3}");
    for (degree, count) in histogram
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
    {
        println!("degree {degree:3}: {}", "#".repeat(count.div_ceil(2)));
    }

    // The number of edges is a sum of independent draws: within 5 standard deviations of its mean.
    let expected = graphon.sum();
    let spread = graphon.mapv(|p| p * (1.0 - p)).sum().sqrt();
    assert!((sample.edges() as f64 - expected).abs() < 5.0 * spread);
    // Near neighbours share neighbours, which a uniform graph of this density does not have.
    assert!(clustering > 3.0 * graph::density(&sample));
    Ok(())
}
