//! Hard links: 0/1 draws `K_ij ~ Bernoulli(P_ij)`, or the threshold `P_ij ≥ t`, as a sparse graph.
//!
//! Rows are drawn in blocks and in parallel. What is stored is the edges found and, for each
//! thread, one block of rows (one tile of it, for links from signatures), so memory grows with the
//! edges and never with receivers × senders. Row `i` draws from its own stream `"row i"`, one `f64`
//! uniform for each sender: the graph depends on the seed alone, not on threads, blocks or the kind
//! of source. [`SignatureLinks`](super::SignatureLinks) says how it avoids most of this work.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::relaxed::check_uniforms;
use super::source::{DenseLinks, LinkSource, choose};
use crate::kernel::BLOCK_ROWS;
use crate::rng::{Stream, Streams};
use crate::{CoreError, Csr, Real};

/// What happens to the edge from a module to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfEdges {
    /// Treated like any other edge.
    #[default]
    AsDrawn,
    /// Always present, so that every module has a sender. Needs a square matrix.
    Always,
    /// Never present. Needs a square matrix.
    Never,
}

/// Draws a graph: edge where `u < P`, with uniforms from one stream per row of `streams`.
///
/// # Errors
/// [`CoreError::InvalidValue`] if a probability is outside `[0, 1]`, [`CoreError::ShapeMismatch`]
/// if `self_edges` needs a square matrix and the source is not square.
pub fn hard_sample_from<S: LinkSource>(
    source: &S,
    streams: Streams,
    self_edges: SelfEdges,
) -> Result<Csr, CoreError> {
    sparse_rows(
        "hard_sample_from",
        source.shape(),
        self_edges,
        |first, kept| {
            let rows = first..first + kept.len();
            let mut streams: Vec<Stream> =
                rows.map(|i| streams.stream(&format!("row {i}"))).collect();
            source.draw(first, &mut streams, kept)
        },
    )
}

/// Draws a graph from explicit uniforms: edge where `u < P`.
///
/// # Shapes
/// - probability: `[receivers, senders]`, entries in `[0, 1]`
/// - uniforms: `[receivers, senders]`, entries in `[0, 1]`
/// - result: `[receivers, senders]`
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the shapes differ, or `self_edges` needs a square matrix;
/// [`CoreError::InvalidValue`] if a probability or a uniform is outside `[0, 1]`.
pub fn hard_sample<T: Real>(
    probability: ArrayView2<'_, T>,
    uniforms: ArrayView2<'_, T>,
    self_edges: SelfEdges,
) -> Result<Csr, CoreError> {
    let op = "hard_sample";
    if probability.dim() != uniforms.dim() {
        return Err(CoreError::shapes(
            op,
            probability.shape(),
            uniforms.shape(),
            "one uniform for each probability",
        ));
    }
    check_uniforms(op, uniforms)?;
    sparse_rows(op, probability.dim(), self_edges, |first, kept| {
        choose(&DenseLinks(probability), op, first, kept, |k, row, keep| {
            let pairs = row.iter().zip(uniforms.row(first + k)).enumerate();
            keep.extend(pairs.filter(|(_, (p, u))| u < p).map(|(j, _)| j));
        })
    })
}

/// The graph of all links with `P ≥ threshold`.
///
/// # Errors
/// [`CoreError::InvalidParameter`] unless `0 < threshold ≤ 1` (0 would keep every pair, truncated
/// ones too); otherwise as [`hard_sample_from`].
pub fn threshold<S: LinkSource>(
    source: &S,
    threshold: f64,
    self_edges: SelfEdges,
) -> Result<Csr, CoreError> {
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(CoreError::parameter(
            "threshold",
            "threshold",
            threshold,
            "greater than 0 and at most 1",
        ));
    }
    sparse_rows("threshold", source.shape(), self_edges, |first, kept| {
        source.cut(first, threshold, kept)
    })
}

/// Lets `links(first row, rows)` put the senders of each block of rows into `rows`, and joins them.
fn sparse_rows(
    op: &'static str,
    (receivers, senders): (usize, usize),
    self_edges: SelfEdges,
    links: impl Fn(usize, &mut [Vec<usize>]) -> Result<(), CoreError> + Sync,
) -> Result<Csr, CoreError> {
    if self_edges != SelfEdges::AsDrawn && receivers != senders {
        let expected = "as many receivers as senders, to fix the self edges";
        return Err(CoreError::shapes(op, &[receivers], &[senders], expected));
    }
    let blocks: Vec<Result<Vec<Vec<usize>>, CoreError>> = (0..receivers.div_ceil(BLOCK_ROWS))
        .into_par_iter()
        .map(|block| {
            let first = block * BLOCK_ROWS;
            let mut rows = vec![Vec::new(); BLOCK_ROWS.min(receivers - first)];
            links(first, &mut rows)?;
            for (offset, keep) in rows.iter_mut().enumerate() {
                fix_self_edge(first + offset, self_edges, keep);
                keep.shrink_to_fit();
            }
            Ok(rows)
        })
        .collect();
    // In order, so that the reported row does not depend on the threads' timing.
    let blocks = blocks.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Csr::from_sorted_rows(senders, blocks.into_iter().flatten()))
}

fn fix_self_edge(i: usize, self_edges: SelfEdges, keep: &mut Vec<usize>) {
    match (self_edges, keep.binary_search(&i)) {
        (SelfEdges::Always, Err(index)) => keep.insert(index, i),
        (SelfEdges::Never, Ok(index)) => {
            keep.remove(index);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{LinkKernel, cosine_distance};
    use crate::sampling::SignatureLinks;
    use ndarray::{Array2, array};

    fn signatures(name: &str, rows: usize) -> Array2<f32> {
        let mut out = Array2::zeros((rows, 8));
        Streams::new(3)
            .stream(name)
            .fill_normal(out.as_slice_mut().unwrap());
        out
    }

    /// Entry by entry from the dense probabilities: what the streaming sampler must equal.
    fn slow_sample(p: &Array2<f32>, streams: Streams) -> Array2<f64> {
        let mut out = Array2::zeros(p.raw_dim());
        for i in 0..p.nrows() {
            let mut stream = streams.stream(&format!("row {i}"));
            for j in 0..p.ncols() {
                out[[i, j]] = f64::from(stream.uniform() < f64::from(p[[i, j]]));
            }
        }
        out
    }

    #[test]
    fn streaming_equals_the_dense_sampler() {
        let kernel = LinkKernel::new(0.3).unwrap().with_truncation(1.2).unwrap();
        for (u, v) in [(5, 9), (150, 150), (200, 7)] {
            let (r, s) = (signatures("r", u), signatures("s", v));
            let d = cosine_distance(r.view(), s.view()).unwrap();
            let p = kernel.link_probability(d.view()).unwrap();
            let streams = Streams::new(4).child("graph");
            let source = SignatureLinks::new(r.view(), s.view(), kernel).unwrap();
            let sparse = hard_sample_from(&source, streams, SelfEdges::AsDrawn).unwrap();
            assert_eq!(sparse.to_dense::<f64>(), slow_sample(&p, streams));
            let dense = hard_sample_from(&DenseLinks(p.view()), streams, SelfEdges::AsDrawn);
            assert_eq!(dense.unwrap(), sparse);
            let cut = threshold(&source, 0.05, SelfEdges::AsDrawn).unwrap();
            assert_eq!(
                cut.to_dense::<f64>(),
                p.mapv(|p| f64::from(f64::from(p) >= 0.05))
            );
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let s = signatures("s", 300);
        let source = SignatureLinks::new(s.view(), s.view(), LinkKernel::default()).unwrap();
        let sample = || hard_sample_from(&source, Streams::new(5), SelfEdges::AsDrawn).unwrap();
        let with_threads = |n| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(n)
                .build()
                .unwrap()
                .install(sample)
        };
        assert_eq!(with_threads(1), with_threads(4));
    }

    #[test]
    fn marginals_match_the_probabilities() {
        // 20,000 graphs of six independent edges. Each share is within 5 standard deviations of
        // its probability except with probability 6e-7; the seed is fixed.
        let p = array![[0.0, 1.0, 0.05], [0.5, 0.368, 0.97]];
        let graphs = 20_000;
        let mut counts = Array2::<f64>::zeros(p.raw_dim());
        for graph in 0..graphs {
            let streams = Streams::new(6).child(&graph.to_string());
            let csr = hard_sample_from(&DenseLinks(p.view()), streams, SelfEdges::AsDrawn);
            for (i, j, _) in csr.unwrap().iter() {
                counts[[i, j]] += 1.0;
            }
        }
        for (index, &p) in p.indexed_iter() {
            let share = counts[index] / f64::from(graphs);
            let sd = (p * (1.0 - p) / f64::from(graphs)).sqrt();
            assert!((share - p).abs() <= 5.0 * sd, "{index:?}: {share} for {p}");
        }
    }

    #[test]
    fn explicit_uniforms_and_self_edges() {
        let p = array![[0.5_f32, 0.2, 1.0], [0.0, 0.0, 0.9], [0.3, 0.3, 0.3]];
        let u = array![[0.5_f32, 0.1, 0.999], [0.0, 0.0, 0.9], [0.1, 0.3, 0.2]];
        let rows = |edges| -> Vec<Vec<usize>> {
            let csr = hard_sample(p.view(), u.view(), edges).unwrap();
            csr.rows().map(<[usize]>::to_vec).collect()
        };
        assert_eq!(rows(SelfEdges::AsDrawn), [vec![1, 2], vec![], vec![0, 2]]);
        assert_eq!(
            rows(SelfEdges::Always),
            [vec![0, 1, 2], vec![1], vec![0, 2]]
        );
        assert_eq!(rows(SelfEdges::Never), [vec![1, 2], vec![], vec![0]]);
        // A link exactly at the threshold is kept.
        let cut = threshold(&DenseLinks(p.view()), 0.5, SelfEdges::Never).unwrap();
        assert_eq!(cut.columns(), [2, 2]);
        let cut = threshold(&DenseLinks(p.view()), 0.5, SelfEdges::AsDrawn).unwrap();
        assert_eq!(cut.columns(), [0, 2, 2]);
    }

    #[test]
    fn empty_sides_give_empty_graphs() {
        for (u, v, d) in [(0, 0, 3), (0, 4, 3), (4, 0, 3), (4, 4, 0)] {
            let (r, s) = (Array2::<f32>::zeros((u, d)), Array2::zeros((v, d)));
            let kernel = LinkKernel::default().with_truncation(0.5).unwrap();
            let source = SignatureLinks::new(r.view(), s.view(), kernel).unwrap();
            let graph = hard_sample_from(&source, Streams::new(0), SelfEdges::AsDrawn).unwrap();
            assert_eq!(graph.shape(), (u, v));
            // Zero signatures are far from all; in a square matrix only self edges can remain.
            assert!(graph.iter().all(|(i, j, _)| u == v && i == j));
        }
    }

    #[test]
    fn bad_input_is_named() {
        let p = array![[0.5_f64, 0.2], [0.1, 1.5]];
        let source = DenseLinks(p.view());
        let error = hard_sample_from(&source, Streams::new(0), SelfEdges::AsDrawn).unwrap_err();
        assert!(error.to_string().contains("probability[1, 1] is 1.5"));
        let wide = DenseLinks(p.slice(ndarray::s![..1, ..]));
        assert!(threshold(&wide, 0.5, SelfEdges::Always).is_err());
        for t in [0.0, 1.1, f64::NAN] {
            assert!(threshold(&wide, t, SelfEdges::AsDrawn).is_err());
        }
        let u = array![[0.5]];
        assert!(hard_sample(p.view(), u.view(), SelfEdges::AsDrawn).is_err());
    }
}
