//! Statistics of a sparse graph: density, degrees, clustering, and how many modules are in use.

use crate::{CoreError, Csr};

/// Share of the possible edges that exist, in `[0, 1]`; 0 for an empty matrix.
#[must_use]
pub fn density(graph: &Csr) -> f64 {
    let (receivers, senders) = graph.shape();
    if receivers == 0 || senders == 0 {
        return 0.0;
    }
    graph.edges() as f64 / receivers as f64 / senders as f64
}

/// Mean number of senders a receiver attends to; 0 without receivers.
#[must_use]
pub fn mean_degree(graph: &Csr) -> f64 {
    if graph.receivers() == 0 {
        return 0.0;
    }
    graph.edges() as f64 / graph.receivers() as f64
}

/// How many of `degrees` equal 0, 1, 2, …: entry `k` counts degree `k`, up to the largest one.
#[must_use]
pub fn degree_histogram(degrees: &[usize]) -> Vec<usize> {
    let mut histogram = vec![0; degrees.iter().max().map_or(0, |&largest| largest + 1)];
    for &degree in degrees {
        histogram[degree] += 1;
    }
    histogram
}

/// Mean local clustering coefficient: for each module the share of pairs of its neighbours that
/// are linked, 0 with fewer than two neighbours, averaged over modules. Edge directions and self
/// edges are ignored.
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the graph is not square.
pub fn clustering_coefficient(graph: &Csr) -> Result<f64, CoreError> {
    let (receivers, senders) = graph.shape();
    if receivers != senders {
        return Err(CoreError::shapes(
            "clustering_coefficient",
            &[receivers],
            &[senders],
            "as many receivers as senders",
        ));
    }
    if receivers == 0 {
        return Ok(0.0);
    }
    let neighbours = undirected(graph);
    let mut marked = vec![false; receivers];
    let mut total = 0.0;
    for own in &neighbours {
        if own.len() < 2 {
            continue;
        }
        for &j in own {
            marked[j] = true;
        }
        // Each linked pair is seen from both of its ends.
        let ends: usize = own
            .iter()
            .map(|&j| neighbours[j].iter().filter(|&&k| marked[k]).count())
            .sum();
        total += ends as f64 / (own.len() * (own.len() - 1)) as f64;
        for &j in own {
            marked[j] = false;
        }
    }
    Ok(total / receivers as f64)
}

/// Effective number of modules in use: `exp(entropy)` of the normalised usage. It is `n` if `n`
/// modules are used equally and 1 if one module does all the work.
///
/// # Errors
/// [`CoreError::InvalidParameter`] if a usage is negative, NaN or infinite, or all are 0.
pub fn effective_modules(usage: &[f64]) -> Result<f64, CoreError> {
    let op = "effective_modules";
    if let Some(bad) = usage.iter().find(|u| !(u.is_finite() && **u >= 0.0)) {
        return Err(CoreError::parameter(
            op,
            "usage",
            bad,
            "finite and at least 0",
        ));
    }
    let total: f64 = usage.iter().sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(CoreError::parameter(
            op,
            "sum of usage",
            total,
            "finite and greater than 0",
        ));
    }
    let shares = usage.iter().map(|u| u / total).filter(|&share| share > 0.0);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    Ok(entropy.exp())
}

/// Sorted neighbours of each module, directions and self edges dropped.
pub(super) fn undirected(graph: &Csr) -> Vec<Vec<usize>> {
    let turned = graph.transpose();
    let pairs = graph.rows().zip(turned.rows()).enumerate();
    pairs
        .map(|(i, (listens_to, heard_by))| {
            let both = listens_to.iter().chain(heard_by);
            let mut own: Vec<usize> = both.copied().filter(|&j| j != i).collect();
            own.sort_unstable();
            own.dedup();
            own
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    fn graph(dense: &Array2<f64>) -> Csr {
        Csr::from_dense(dense.view()).unwrap()
    }

    #[test]
    fn triangle_with_a_tail() {
        // 0–1–2 form a triangle, 3 hangs on 0; one self edge at 1.
        let g = graph(&array![
            [0.0, 1.0, 1.0, 1.0],
            [0.0, 1.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ]);
        // Local coefficients: 1/3, 1, 1, 0.
        let expected = (1.0 / 3.0 + 2.0) / 4.0;
        assert!((clustering_coefficient(&g).unwrap() - expected).abs() < 1e-12);
        assert!((density(&g) - 5.0 / 16.0).abs() < 1e-12);
        assert!((mean_degree(&g) - 1.25).abs() < 1e-12);
        assert_eq!(degree_histogram(&g.receiver_degrees()), [2, 0, 1, 1]);
    }

    #[test]
    fn empty_graphs_are_defined() {
        let g = Csr::new(0, vec![0], vec![], None).unwrap();
        assert_eq!(density(&g), 0.0);
        assert_eq!(mean_degree(&g), 0.0);
        assert_eq!(clustering_coefficient(&g).unwrap(), 0.0);
        assert!(degree_histogram(&[]).is_empty());
        let wide = Csr::new(2, vec![0, 0], vec![], None).unwrap();
        assert!(clustering_coefficient(&wide).is_err());
    }

    #[test]
    fn module_use() {
        assert!((effective_modules(&[2.0; 7]).unwrap() - 7.0).abs() < 1e-12);
        assert!((effective_modules(&[0.0, 3.0, 0.0]).unwrap() - 1.0).abs() < 1e-12);
        for bad in [&[][..], &[0.0, 0.0], &[1.0, -1.0], &[f64::NAN]] {
            assert!(effective_modules(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn clustering_matches_counting_triples(bits in prop::collection::vec(any::<bool>(), 49)) {
            let dense = Array2::from_shape_fn((7, 7), |(i, j)| f64::from(bits[i * 7 + j]));
            let linked = |i: usize, j: usize| i != j && dense[[i, j]] + dense[[j, i]] > 0.0;
            let mut total = 0.0;
            for i in 0..7 {
                let (mut pairs, mut closed) = (0.0, 0.0);
                for j in 0..7 {
                    for k in 0..j {
                        if linked(i, j) && linked(i, k) {
                            pairs += 1.0;
                            closed += f64::from(linked(j, k));
                        }
                    }
                }
                total += if pairs > 0.0 { closed / pairs } else { 0.0 };
            }
            let fast = clustering_coefficient(&graph(&dense)).unwrap();
            prop_assert!((fast - total / 7.0).abs() < 1e-12);
        }
    }
}
