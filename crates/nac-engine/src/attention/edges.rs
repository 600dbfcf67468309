//! Edges: the links that are left where signatures, a threshold or a given graph cut the others.
//!
//! Log link probabilities are computed for 64 receivers at a time and only those of edges are kept, so memory grows
//! with edges, and never with receivers × senders.

use std::f32::consts::LOG2_E;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, concatenate, s};
use rayon::prelude::*;

use super::links::{LinkSettings, thresholded};
use crate::error::{EngineError, Result};
use crate::simd::WIDTH;
use crate::simd::edges;
use nac_core::{CoreError, Csr, SignatureLinks};

/// Logarithms of links to all senders, where there are links.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Logs {
    /// Where each receiver's edges start, and where the last ones end.
    offsets: Vec<usize>,
    senders: Vec<u32>,
    logs: Vec<f32>,
}

/// Receivers whose links are computed at once.
const BLOCK_ROWS: usize = 64;

impl Logs {
    /// The links that are left by the kernel, of those with a probability of at least `min_probability`; `None` if
    /// there are more than `limit`.
    ///
    /// A receiver among its own kind whose links are all weaker keeps its self link, as with a truncation.
    pub(crate) fn of_signatures(
        settings: &LinkSettings,
        min_probability: Option<f64>,
        receivers: ArrayView2<'_, f32>,
        senders: &[ArrayView2<'_, f32>],
        limit: usize,
    ) -> Result<Option<Self>> {
        let all = concatenate(Axis(0), senders);
        let all = all.map_err(|error| EngineError::Other(error.to_string()))?;
        let (count, width) = (receivers.nrows(), all.nrows());
        check_width(width)?;
        let thresholds = settings.thresholds()?;
        let kernel = settings.link_kernel()?;
        let keeps_self = count == width && !kernel.eliminate_diagonal();
        let links = SignatureLinks::new(receivers, all.view(), kernel)?;
        let weakest = min_probability.map(|p| p.ln() as f32);
        let found = AtomicUsize::new(0);
        let block = |buffer: &mut Array2<f32>, block: usize| -> Result<Self> {
            let (mut part, first) = (Self::default(), block * BLOCK_ROWS);
            if found.load(Ordering::Relaxed) > limit {
                return Ok(part);
            }
            let rows = BLOCK_ROWS.min(count - first);
            let mut logs = buffer.slice_mut(s![..rows, ..]);
            links.fill_logs(first, logs.view_mut())?;
            for (offset, mut row) in logs.outer_iter_mut().enumerate() {
                if let Some(weakest) = weakest {
                    let own = keeps_self.then_some(first + offset);
                    drop_weak(row.view_mut(), weakest, own);
                }
                if thresholds {
                    row.mapv_inplace(thresholded);
                }
                let linked = row.iter().enumerate();
                part.push(linked.filter(|(_, log)| **log > f32::NEG_INFINITY));
            }
            found.fetch_add(part.senders.len(), Ordering::Relaxed);
            Ok(part)
        };
        let parts = (0..count.div_ceil(BLOCK_ROWS))
            .into_par_iter()
            .map_init(|| Array2::zeros((BLOCK_ROWS, width)), block)
            .collect::<Result<Vec<Self>>>()?;
        if found.into_inner() > limit {
            return Ok(None);
        }
        Ok(Some(Self::join(parts)))
    }

    /// The edges of a graph, whose weights are logarithms; without weights they are zero.
    pub(crate) fn of_graph(graph: &Csr, (receivers, senders): (usize, usize)) -> Result<Self> {
        if graph.shape() != (receivers, senders) {
            let reason = format!(
                "it is {:?}, but there are {receivers} receivers and {senders} senders",
                graph.shape()
            );
            let op = "EngineOptions::graph";
            return Err(CoreError::InvalidGraph { op, reason }.into());
        }
        check_width(senders)?;
        Ok(Self {
            offsets: graph.offsets().to_vec(),
            senders: graph
                .columns()
                .iter()
                .map(|&sender| sender as u32)
                .collect(),
            logs: match graph.values() {
                Some(logs) => logs.iter().map(|&log| log as f32).collect(),
                None => vec![0.0; graph.edges()],
            },
        })
    }

    /// One more receiver.
    fn push<'a>(&mut self, links: impl Iterator<Item = (usize, &'a f32)>) {
        for (sender, log) in links {
            self.senders.push(sender as u32);
            self.logs.push(*log);
        }
        self.offsets.push(self.senders.len());
    }

    /// Receivers of one part after the other. Offsets of parts lack the zero.
    fn join(parts: Vec<Self>) -> Self {
        let edges = parts.iter().map(|part| part.senders.len()).sum();
        let rows: usize = parts.iter().map(|part| part.offsets.len()).sum();
        let mut all = Self {
            offsets: Vec::with_capacity(rows + 1),
            senders: Vec::with_capacity(edges),
            logs: Vec::with_capacity(edges),
        };
        all.offsets.push(0);
        for part in parts {
            let before = all.senders.len();
            all.offsets
                .extend(part.offsets.iter().map(|end| before + end));
            all.senders.extend(part.senders);
            all.logs.extend(part.logs);
        }
        all
    }

    /// The senders of each receiver and the logarithms of their links.
    fn rows(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        self.offsets.windows(2).map(|ends| {
            let edges = ends[0]..ends[1];
            (&self.senders[edges.clone()], &self.logs[edges])
        })
    }

    /// As a matrix, `[receivers, senders]`.
    pub(crate) fn dense(&self, senders: usize) -> Array2<f32> {
        let size = (self.offsets.len().saturating_sub(1), senders);
        let mut dense = Array2::from_elem(size, f32::NEG_INFINITY);
        for ((senders, logs), mut row) in self.rows().zip(dense.outer_iter_mut()) {
            for (sender, log) in senders.iter().zip(logs) {
                row[*sender as usize] = *log;
            }
        }
        dense
    }

    /// Edges from each set of senders, of `counts` senders.
    pub(crate) fn sets(mut self, settings: &LinkSettings, counts: &[usize]) -> Vec<EdgeSet> {
        let factor = settings.scale.then(|| self.factors(settings.normalize));
        let has_bias = settings.mask && self.logs.iter().any(|log| *log != 0.0);
        // Softmax takes powers of two.
        self.logs.iter_mut().for_each(|log| *log *= LOG2_E);
        if counts.len() == 1 {
            return vec![EdgeSet {
                offsets: self.offsets,
                senders: self.senders,
                bias: has_bias.then_some(self.logs),
                factor,
            }];
        }
        let mut first = 0;
        let set = |&count: &usize| {
            let mut set = EdgeSet {
                offsets: vec![0],
                senders: Vec::new(),
                bias: has_bias.then(Vec::new),
                factor: factor.is_some().then(Vec::new),
            };
            for ends in self.offsets.windows(2) {
                let row = &self.senders[ends[0]..ends[1]];
                let slot = |sender: usize| row.partition_point(|s| (*s as usize) < sender);
                let edges = ends[0] + slot(first)..ends[0] + slot(first + count);
                let own = |sender: &u32| *sender - first as u32;
                set.senders
                    .extend(self.senders[edges.clone()].iter().map(own));
                if let Some(bias) = &mut set.bias {
                    bias.extend_from_slice(&self.logs[edges.clone()]);
                }
                if let Some((own, all)) = set.factor.as_mut().zip(factor.as_ref()) {
                    own.extend_from_slice(&all[edges]);
                }
                set.offsets.push(set.senders.len());
            }
            first += count;
            set
        };
        counts.iter().map(set).collect()
    }

    /// Factors on weights after the softmax: probabilities, divided by their sum over a receiver's edges if wanted.
    fn factors(&self, normalize: bool) -> Vec<f32> {
        let mut factors = Vec::with_capacity(self.logs.len());
        for (_, logs) in self.rows() {
            let start = factors.len();
            factors.extend(logs.iter().map(|log| log.exp().min(1.0)));
            let row = &mut factors[start..];
            let sum: f32 = row.iter().sum();
            if normalize && sum > 0.0 {
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }
        factors
    }

    pub(crate) fn count(&self) -> usize {
        self.senders.len()
    }
}

/// Senders are counted in 32 bits, half the memory of 64.
fn check_width(senders: usize) -> Result<()> {
    if u32::try_from(senders).is_err() {
        let expected = "fewer than 2^32 for attention over edges";
        return Err(CoreError::parameter("engine", "senders", senders, expected).into());
    }
    Ok(())
}

/// Cuts links weaker than `weakest`, but for the one to `own` if it would be left alone.
fn drop_weak(mut row: ArrayViewMut1<'_, f32>, weakest: f32, own: Option<usize>) {
    let kept = own.map(|own| (own, row[own]));
    let mut alone = true;
    for log in &mut row {
        if *log < weakest {
            *log = f32::NEG_INFINITY;
        }
        alone &= *log == f32::NEG_INFINITY;
    }
    if let Some((own, log)) = kept.filter(|_| alone) {
        row[own] = log;
    }
}

/// Edges from one set of senders, with what attention does with each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EdgeSet {
    offsets: Vec<usize>,
    senders: Vec<u32>,
    bias: Option<Vec<f32>>,
    factor: Option<Vec<f32>>,
}

impl EdgeSet {
    pub(crate) fn count(&self) -> usize {
        self.senders.len()
    }

    /// The edges to a block of receivers, from senders with these item-major keys and values.
    pub(crate) fn block<'a>(&'a self, block: usize, items: &'a [f32]) -> edges::Edges<'a> {
        let last = (block * WIDTH + WIDTH + 1).min(self.offsets.len());
        edges::Edges {
            items,
            offsets: &self.offsets[block * WIDTH..last],
            senders: &self.senders,
            bias: self.bias.as_deref(),
            factor: self.factor.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use nac_core::model::{EvaluationLinks, KernelConfig};
    use nac_core::rng::Streams;
    use nac_core::{LinkKernel, cosine_distance};

    fn signatures(name: &str, count: usize) -> Array2<f32> {
        let mut out = Array2::zeros((count, 4));
        let values = out.as_slice_mut().unwrap();
        Streams::new(3).stream(name).fill_normal(values);
        if count > 2 {
            out.row_mut(2).fill(0.0);
        }
        out
    }

    fn settings(kernel: KernelConfig, normalize: bool) -> LinkSettings {
        LinkSettings {
            bandwidth: kernel.bandwidth as f32,
            kernel,
            mask: true,
            scale: true,
            normalize,
        }
    }

    /// Pair by pair, from the whole matrix.
    fn slow(
        settings: &LinkSettings,
        min: Option<f64>,
        r: &Array2<f32>,
        s: &Array2<f32>,
    ) -> Array2<f32> {
        let config = &settings.kernel;
        let mut kernel = LinkKernel::new(config.bandwidth)
            .unwrap()
            .with_eliminate_diagonal(config.eliminate_diagonal);
        if let Some(truncation) = config.truncation {
            kernel = kernel.with_truncation(truncation).unwrap();
        }
        let distance = cosine_distance(r.view(), s.view()).unwrap();
        let log = kernel.log_link_probability(distance.view()).unwrap();
        let weak = |x: f32| min.is_some_and(|min| x < min.ln() as f32);
        Array2::from_shape_fn(log.raw_dim(), |(i, j)| {
            let all_weak = log.row(i).iter().all(|x| weak(*x));
            let own = i == j && log.is_square() && !config.eliminate_diagonal;
            let x = log[[i, j]];
            match config.evaluation {
                _ if weak(x) && !(all_weak && own) => f32::NEG_INFINITY,
                EvaluationLinks::Threshold if x > 0.5_f32.ln() => 0.0,
                EvaluationLinks::Threshold => f32::NEG_INFINITY,
                _ => x,
            }
        })
    }

    proptest! {
        #[test]
        fn edges_are_the_links_that_are_left(
            (receivers, senders) in prop_oneof![(1_usize..150, 1_usize..150), (1_usize..150).prop_map(|n| (n, n))],
            bandwidth in 0.05_f64..3.0,
            truncation in prop_oneof![Just(None), (0.0_f64..1.5).prop_map(Some)],
            min in prop_oneof![Just(None), (1e-6_f64..1.0).prop_map(Some)],
            (threshold, eliminate, normalize) in any::<(bool, bool, bool)>(),
        ) {
            let kernel = KernelConfig {
                bandwidth: f64::from(bandwidth as f32),
                truncation,
                eliminate_diagonal: eliminate && receivers == senders,
                evaluation: if threshold { EvaluationLinks::Threshold } else { EvaluationLinks::NoSample },
                ..Default::default()
            };
            let settings = settings(kernel, normalize);
            let (r, s) = (signatures("r", receivers), signatures("s", senders));
            let expected = slow(&settings, min, &r, &s);
            let edges = |sets: &[ArrayView2<'_, f32>], limit: usize| {
                Logs::of_signatures(&settings, min, r.view(), sets, limit).unwrap()
            };
            let found = edges(&[s.view()], usize::MAX).unwrap();
            prop_assert_eq!(found.dense(senders), &expected);
            let count = expected.iter().filter(|x| x.is_finite()).count();
            prop_assert_eq!(found.count(), count);
            prop_assert!(count == 0 || edges(&[s.view()], count - 1).is_none());

            // Two sets hold the same edges, and factors sum to one over both.
            let cut = senders / 3;
            let halves = [s.slice(s![..cut, ..]), s.slice(s![cut.., ..])];
            prop_assert_eq!(&edges(&halves, usize::MAX).unwrap(), &found);
            let sets = found.sets(&settings, &[cut, senders - cut]);
            for i in 0..receivers {
                let mut sum = 0.0;
                for (set, first) in sets.iter().zip([0, cut]) {
                    for edge in set.offsets[i]..set.offsets[i + 1] {
                        let log = expected[[i, first + set.senders[edge] as usize]];
                        prop_assert_eq!(set.bias.as_ref().map_or(0.0, |bias| bias[edge]), log * LOG2_E);
                        let factor = set.factor.as_ref().unwrap()[edge];
                        prop_assert!(normalize || factor == log.exp());
                        sum += factor;
                    }
                }
                let linked = expected.row(i).iter().any(|x| x.exp() > 0.0);
                prop_assert!(!normalize || !linked || (sum - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_graph_that_does_not_fit_is_refused() {
        let graph = Csr::new(3, vec![0, 1, 1], vec![2], Some(vec![-0.5])).unwrap();
        let edges = Logs::of_graph(&graph, (2, 3)).unwrap();
        assert_eq!(edges.dense(3)[[0, 2]], -0.5);
        let error = Logs::of_graph(&graph, (3, 3)).unwrap_err().to_string();
        assert!(
            error.contains("(2, 3)") && error.contains("3 receivers"),
            "{error}"
        );
    }
}
