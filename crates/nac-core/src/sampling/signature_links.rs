//! Links straight from signatures, without a dense matrix: distances are computed tile by tile, and
//! only the few pairs that pass a cheap bound are decided exactly.
//!
//! For each tile of receivers × senders: one matrix product gives the distances; senders beyond the
//! truncation are skipped 32 at a time, with their draws (the stream is advanced without
//! generating them); the bound of `prefilter.rs` compares the others with their draws. The links
//! are those of the dense probabilities and the same draws, bit for bit.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder as _, aview_mut2, s};

use super::prefilter::Prefilter;
use super::source::{LinkSource, check_rows, check_streams};
use crate::kernel::signature::{TILE_COLUMNS, distance_rows, distance_tile, normalized_pair};
use crate::kernel::{LinkKernel, link::probability};
use crate::rng::{Stream, unit_f64};
use crate::{CoreError, Real};

/// Senders handled together: as many as one step of a stream has draws for.
const GROUP: usize = 32;
/// Bytes of a draw.
const DRAW: usize = size_of::<u64>();
/// Words of a draw, the unit of a stream's position.
const DRAW_WORDS: u128 = 2;

/// Link probabilities computed from signatures as they are needed: memory grows with the number of
/// signatures, not with their square.
#[derive(Debug, Clone)]
pub struct SignatureLinks<T> {
    receivers: Array2<T>,
    /// Column-major, as the matrix product reads it.
    senders: Array2<T>,
    kernel: LinkKernel,
}

impl<T: Real> SignatureLinks<T> {
    /// The links between two sets of signatures under `kernel`.
    ///
    /// # Shapes
    /// - receivers: `[receivers, signature_dim]`
    /// - senders: `[senders, signature_dim]`
    ///
    /// # Errors
    /// As [`cosine_distance`](crate::kernel::cosine_distance) and
    /// [`LinkKernel::log_link_probability`].
    pub fn new(
        receivers: ArrayView2<'_, T>,
        senders: ArrayView2<'_, T>,
        kernel: LinkKernel,
    ) -> Result<Self, CoreError> {
        let op = "SignatureLinks::new";
        let (receivers, row_major) = normalized_pair(op, receivers, senders)?;
        kernel.check_shape(op, (receivers.nrows(), row_major.nrows()))?;
        let mut senders = Array2::zeros(row_major.raw_dim().f());
        senders.assign(&row_major);
        Ok(Self {
            receivers,
            senders,
            kernel,
        })
    }

    /// As [`LinkSource::fill`], but log link probabilities.
    ///
    /// # Shapes
    /// - rows: `[receivers from first on, senders]`
    ///
    /// # Errors
    /// As [`LinkSource::fill`].
    pub fn fill_logs(&self, first: usize, mut rows: ArrayViewMut2<'_, T>) -> Result<(), CoreError> {
        check_rows("SignatureLinks::fill_logs", first, rows.dim(), self.shape())?;
        let (receivers, senders) = (self.receivers.view(), self.senders.view());
        distance_rows(receivers, senders, first, rows.view_mut());
        self.kernel.log_rows(first, self.is_square(), rows);
        Ok(())
    }

    fn is_square(&self) -> bool {
        self.receivers.nrows() == self.senders.nrows()
    }

    /// Calls `judge(offset, first sender, distances, truncation)` for every group of senders not
    /// all of which are truncated, in order for each of the `count` receivers from `first` on. Where
    /// there is no sender, or no link because the diagonal is eliminated, the distance is infinite.
    ///
    /// A receiver all of whose senders are truncated gets one more call, with its own distance and
    /// without the truncation, if it keeps a self link.
    fn visit(
        &self,
        first: usize,
        count: usize,
        mut judge: impl FnMut(usize, usize, &[T; GROUP], Truncation),
    ) {
        let formula = self.kernel.formula::<T>();
        let cuts = self.kernel.truncation().is_some();
        let receivers = self.receivers.slice(s![first..first + count, ..]);
        let mut tile = vec![[T::infinity(); TILE_COLUMNS]; count];
        let mut reached = vec![!cuts; count];
        let mut own = vec![None; count];
        let tiles = self.senders.axis_chunks_iter(Axis(0), TILE_COLUMNS);
        for (number, senders) in tiles.enumerate() {
            let (start, width) = (number * TILE_COLUMNS, senders.nrows());
            let distances = aview_mut2(&mut tile);
            distance_tile(receivers, senders, distances.slice_move(s![.., ..width]));
            for (offset, row) in tile.iter_mut().enumerate() {
                row[width..].fill(T::infinity());
                self.take_diagonal(first + offset, start, row, &mut own[offset]);
                let (groups, _) = row.as_chunks::<GROUP>();
                for (group, distances) in groups.iter().enumerate() {
                    let any = |found, &d: &T| found | formula.reaches(d);
                    if !cuts || distances.iter().fold(false, any) {
                        reached[offset] = true;
                        judge(offset, start + group * GROUP, distances, Truncation::Holds);
                    }
                }
            }
        }
        for (offset, (own, reached)) in own.into_iter().zip(reached).enumerate() {
            if let Some(own) = own.filter(|_| !reached) {
                let mut alone = [T::infinity(); GROUP];
                alone[0] = own;
                judge(offset, first + offset, &alone, Truncation::Lifted);
            }
        }
    }

    /// If receiver `i`'s self link is in this part of its row, records its distance, or removes
    /// it if the diagonal is eliminated.
    fn take_diagonal(&self, i: usize, start: usize, row: &mut [T], own: &mut Option<T>) {
        let column = i.checked_sub(start).filter(|_| self.is_square());
        let Some(distance) = column.and_then(|column| row.get_mut(column)) else {
            return;
        };
        if self.kernel.eliminate_diagonal() {
            *distance = T::infinity();
        } else {
            *own = Some(*distance);
        }
    }

    /// Link probability of a pair as [`LinkKernel::link_probability`] has it.
    fn probability(&self, distance: T, truncation: Truncation) -> T {
        let formula = self.kernel.formula::<T>();
        if distance.is_infinite() {
            return T::zero();
        }
        probability(match truncation {
            Truncation::Holds => formula.log(distance),
            Truncation::Lifted => formula.untruncated(distance),
        })
    }
}

/// Whether pairs beyond the truncation are dropped.
#[derive(Debug, Clone, Copy)]
enum Truncation {
    Holds,
    Lifted,
}

impl<T: Real> LinkSource for SignatureLinks<T> {
    type Number = T;

    fn shape(&self) -> (usize, usize) {
        (self.receivers.nrows(), self.senders.nrows())
    }

    fn fill(&self, first: usize, mut rows: ArrayViewMut2<'_, T>) -> Result<(), CoreError> {
        self.fill_logs(first, rows.view_mut())?;
        rows.mapv_inplace(probability);
        Ok(())
    }

    fn draw(
        &self,
        first: usize,
        streams: &mut [Stream],
        kept: &mut [Vec<usize>],
    ) -> Result<(), CoreError> {
        let op = "SignatureLinks::draw";
        check_streams(op, streams, kept)?;
        check_rows(op, first, (kept.len(), self.senders.nrows()), self.shape())?;
        let bound = Prefilter::new(self.kernel.bandwidth());
        let may_link = |d: T, draw: &[u8; DRAW]| bound.may_link(d.as_f32(), high_word(draw));
        let mut draws = [[0_u8; DRAW]; GROUP];
        let origin: Vec<u128> = streams.iter().map(Stream::position).collect();
        // The sender whose draw comes next in each stream.
        let mut next = vec![0; streams.len()];
        self.visit(first, streams.len(), |k, start, distances, truncation| {
            if next[k] != start {
                streams[k].seek(origin[k] + start as u128 * DRAW_WORDS);
            }
            streams[k].fill_bytes(draws.as_flattened_mut());
            next[k] = start + GROUP;
            let pairs = || distances.iter().zip(&draws);
            let passed = pairs().fold(0, |sum, (&d, draw)| sum | u32::from(may_link(d, draw)));
            if passed == 0 {
                return;
            }
            for (sender, (&d, draw)) in (start..).zip(pairs()) {
                if may_link(d, draw) {
                    let p = self.probability(d, truncation);
                    if unit_f64(u64::from_le_bytes(*draw)) < p.as_f64() {
                        kept[k].push(sender);
                    }
                }
            }
        });
        Ok(())
    }

    fn cut(&self, first: usize, threshold: f64, kept: &mut [Vec<usize>]) -> Result<(), CoreError> {
        let size = (kept.len(), self.senders.nrows());
        check_rows("SignatureLinks::cut", first, size, self.shape())?;
        // Beyond `−ε ln t` a link is weaker than `t`; one `ε` more covers rounding.
        let farthest = T::from_f64(self.kernel.bandwidth() * (1.0 - threshold.ln()));
        self.visit(first, kept.len(), |k, start, distances, truncation| {
            let near = |sum, &d: &T| sum | u32::from(d <= farthest);
            if distances.iter().fold(0, near) == 0 {
                return;
            }
            let strong = |&d: &T| self.probability(d, truncation).as_f64() >= threshold;
            let chosen = (start..).zip(distances).filter(|(_, d)| strong(d));
            kept[k].extend(chosen.map(|(sender, _)| sender));
        });
        Ok(())
    }
}

/// The upper half of a draw's bits.
fn high_word(draw: &[u8; DRAW]) -> u32 {
    (u64::from_le_bytes(*draw) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cosine_distance;
    use crate::rng::Streams;
    use crate::sampling::{DenseLinks, SelfEdges, hard_sample_from, threshold};
    use proptest::prelude::*;

    /// Normal signatures around a few centres; every seventh is zero.
    fn signatures(name: &str, rows: usize, spread: f64) -> Array2<f64> {
        let mut out = Array2::zeros((rows, 5));
        let mut stream = Streams::new(9).stream(name);
        stream.fill_normal_f64(out.as_slice_mut().unwrap());
        for (i, mut row) in out.rows_mut().into_iter().enumerate() {
            row.mapv_inplace(|v| if i % 7 == 6 { 0.0 } else { spread * v });
            row[i % 3] += if i % 7 == 6 { 0.0 } else { 1.0 };
        }
        out
    }

    fn kernel(bandwidth: f64, truncation: Option<f64>, eliminate: bool) -> LinkKernel {
        let kernel = LinkKernel::new(bandwidth)
            .unwrap()
            .with_eliminate_diagonal(eliminate);
        truncation.map_or(kernel, |t| kernel.with_truncation(t).unwrap())
    }

    /// Both samplers, against the dense probabilities of the same signatures.
    fn equals_dense<T: Real>(receivers: &Array2<f64>, senders: &Array2<f64>, kernel: LinkKernel) {
        let (r, s) = (receivers.mapv(T::from_f64), senders.mapv(T::from_f64));
        let links = SignatureLinks::new(r.view(), s.view(), kernel).unwrap();
        let d = cosine_distance(r.view(), s.view()).unwrap();
        let p = kernel.link_probability(d.view()).unwrap();
        let mut filled = Array2::zeros(p.raw_dim());
        links.fill(0, filled.view_mut()).unwrap();
        assert_eq!(filled, p);
        let dense = DenseLinks(p.view());
        let streams = Streams::new(10).child("graph");
        let drawn = hard_sample_from(&links, streams, SelfEdges::AsDrawn).unwrap();
        let slow = hard_sample_from(&dense, streams, SelfEdges::AsDrawn).unwrap();
        assert_eq!(drawn, slow, "{kernel:?}");
        for limit in [1e-40, 1e-3, 0.2, 0.9, 1.0] {
            let cut = threshold(&links, limit, SelfEdges::AsDrawn).unwrap();
            let slow = threshold(&dense, limit, SelfEdges::AsDrawn).unwrap();
            assert_eq!(cut, slow, "{kernel:?} {limit}");
        }
    }

    #[test]
    fn several_tiles_equal_the_dense_probabilities() {
        let (r, s) = (signatures("r", 70, 0.5), signatures("s", 600, 0.5));
        for truncation in [None, Some(0.3), Some(1e-3)] {
            for bandwidth in [0.05, 0.4, 10.0] {
                let kernel = kernel(bandwidth, truncation, false);
                equals_dense::<f32>(&r, &s, kernel);
                equals_dense::<f32>(&s, &s, kernel.with_eliminate_diagonal(bandwidth < 0.1));
            }
        }
    }

    #[test]
    fn rows_that_are_not_part_of_the_matrix_are_errors() {
        let r = signatures("r", 6, 0.5);
        let links = SignatureLinks::new(r.view(), r.view(), kernel(0.4, None, false)).unwrap();
        let p = Array2::from_elem((6, 6), 0.5);
        for (first, size) in [
            (0, (7, 6)),
            (5, (2, 6)),
            (7, (0, 6)),
            (0, (2, 5)),
            (usize::MAX, (1, 6)),
        ] {
            let mut rows = Array2::zeros(size);
            let error = links.fill_logs(first, rows.view_mut()).unwrap_err();
            assert!(error.to_string().contains("[6, 6]"), "{error}");
            assert!(DenseLinks(p.view()).fill(first, rows.view_mut()).is_err());
        }
        let mut kept = vec![Vec::new(); 2];
        let mut streams = vec![Streams::new(0).stream("a")];
        assert!(links.cut(5, 0.5, &mut kept).is_err());
        assert!(links.draw(0, &mut streams, &mut kept).is_err());
        assert!(
            DenseLinks(p.view())
                .draw(0, &mut streams, &mut kept)
                .is_err()
        );
        assert!(DenseLinks(p.view()).cut(5, 0.5, &mut kept).is_err());
        streams.push(Streams::new(0).stream("b"));
        assert!(links.draw(5, &mut streams, &mut kept).is_err());
        assert!(links.draw(4, &mut streams, &mut kept).is_ok());
    }

    #[test]
    fn draws_go_on_from_where_a_stream_stands() {
        let s = signatures("s", 100, 0.2);
        let links = SignatureLinks::new(s.view(), s.view(), kernel(0.3, Some(0.4), false)).unwrap();
        let d = cosine_distance(s.view(), s.view()).unwrap();
        let p = links.kernel.link_probability(d.view()).unwrap();
        let draw = |source: &dyn LinkSource<Number = f64>| {
            let mut streams = vec![Streams::new(15).stream("moved"); 2];
            streams[1].next_u64();
            let mut kept = vec![Vec::new(); 2];
            source.draw(40, &mut streams, &mut kept).unwrap();
            kept
        };
        assert_eq!(draw(&links), draw(&DenseLinks(p.view())));
    }

    #[test]
    fn a_receiver_whose_senders_are_all_cut_keeps_its_self_link() {
        // Zero signatures are at distance 1 from everything, and `e^(−1/5) = 0.82`.
        let s = signatures("s", 700, 0.1);
        let links = SignatureLinks::new(s.view(), s.view(), kernel(5.0, Some(0.9), false)).unwrap();
        let graph = hard_sample_from(&links, Streams::new(11), SelfEdges::AsDrawn).unwrap();
        let kept = (0..100)
            .filter(|k| graph.contains(7 * k + 6, 7 * k + 6))
            .count();
        assert!((60..100).contains(&kept), "{kept}");
        let alone = threshold(&links, 0.8, SelfEdges::AsDrawn).unwrap();
        assert!((0..100).all(|k| alone.row(7 * k + 6) == Some(&[7 * k + 6])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn any_kernel_equals_the_dense_probabilities(
            (u, v) in prop_oneof![(1_usize..90, 1_usize..90), (1_usize..90).prop_map(|n| (n, n))],
            spread in prop_oneof![Just(0.0), Just(1e-9), 0.01_f64..3.0],
            bandwidth in prop_oneof![1e-3_f64..3.0, Just(1e-30), Just(1e30)],
            truncation in prop_oneof![Just(None), Just(Some(0.0)), (0.0_f64..2.0).prop_map(Some)],
            eliminate: bool,
        ) {
            let (r, s) = (signatures("r", u, spread), signatures("s", v, spread));
            let kernel = kernel(bandwidth, truncation, eliminate && u == v);
            equals_dense::<f32>(&r, &s, kernel);
            equals_dense::<f64>(&r, &s, kernel);
        }
    }
}
