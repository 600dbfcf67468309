//! Paths in a graph: how many edges apart two modules are, and whether all can reach each other.

use std::collections::VecDeque;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::{CoreError, Csr};

/// Least number of edges from each receiver to each module, following senders; 0 to itself, infinite
/// where there is no path.
///
/// # Shapes
/// - result: `[modules, modules]`
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the graph is not square.
pub fn hop_distances(graph: &Csr) -> Result<Array2<f64>, CoreError> {
    let n = square("hop_distances", graph)?;
    let rows: Vec<&[usize]> = graph.rows().collect();
    let mut out = Array2::from_elem((n, n), f64::INFINITY);
    out.axis_iter_mut(Axis(0))
        .into_par_iter()
        .enumerate()
        .for_each(|(start, mut hops)| {
            hops[start] = 0.0;
            let mut queue = VecDeque::from([start]);
            while let Some(module) = queue.pop_front() {
                for &next in rows[module] {
                    if hops[next].is_infinite() {
                        hops[next] = hops[module] + 1.0;
                        queue.push_back(next);
                    }
                }
            }
        });
    Ok(out)
}

/// Whether there is a path between any two modules, edge directions ignored; true without modules.
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the graph is not square.
pub fn is_connected(graph: &Csr) -> Result<bool, CoreError> {
    let n = square("is_connected", graph)?;
    let neighbours = super::stats::undirected(graph);
    let mut seen = vec![false; n];
    let mut open = Vec::new();
    if let Some(first) = seen.first_mut() {
        *first = true;
        open.push(0);
    }
    while let Some(module) = open.pop() {
        for &next in &neighbours[module] {
            if !std::mem::replace(&mut seen[next], true) {
                open.push(next);
            }
        }
    }
    Ok(seen.into_iter().all(|reached| reached))
}

fn square(op: &'static str, graph: &Csr) -> Result<usize, CoreError> {
    let (receivers, senders) = graph.shape();
    if receivers != senders {
        let expected = "as many receivers as senders";
        return Err(CoreError::shapes(op, &[receivers], &[senders], expected));
    }
    Ok(receivers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;
    use crate::graph::GraphGenerator;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn a_path_and_an_island() {
        let dense = array![
            [0.0, 1.0, 0.0, 0.0],
            [1.0, 0.0, 1.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ];
        let graph = Csr::from_dense(dense.view()).unwrap();
        let far = f64::INFINITY;
        let expected = array![
            [0.0, 1.0, 2.0, far],
            [1.0, 0.0, 1.0, far],
            [2.0, 1.0, 0.0, far],
            [far, far, far, 0.0],
        ];
        assert_eq!(hop_distances(&graph).unwrap(), expected);
        assert!(!is_connected(&graph).unwrap());
        let wide = Csr::new(2, vec![0, 0], vec![], None).unwrap();
        assert!(hop_distances(&wide).is_err() && is_connected(&wide).is_err());
    }

    proptest! {
        #[test]
        fn hops_agree_with_floyd_and_warshall(n in 1_usize..20, p in 0.0_f64..0.4, seed: u64) {
            let mut stream = Streams::new(seed).stream("graph");
            let graph = GraphGenerator::ErdosRenyi { p }.generate(n, &mut stream).unwrap();
            let mut slow = graph.to_dense::<f64>().mapv(|edge| if edge > 0.0 { 1.0 } else { f64::INFINITY });
            slow.diag_mut().fill(0.0);
            for k in 0..n {
                for i in 0..n {
                    for j in 0..n {
                        slow[[i, j]] = f64::min(slow[[i, j]], slow[[i, k]] + slow[[k, j]]);
                    }
                }
            }
            let all_reached = slow.iter().all(|hops| hops.is_finite());
            prop_assert_eq!(is_connected(&graph).unwrap(), all_reached);
            prop_assert_eq!(hop_distances(&graph).unwrap(), slow);
        }
    }
}
