//! What tokenizers of sequences have in common: checks, padding, embeddings.

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::error::{EngineError, Result};
use crate::simd::{Row, WIDTH};

/// Sequences of some examples, every symbol of which has been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbols<'a> {
    all: ArrayView2<'a, i64>,
    first: usize,
    pad: i64,
}

impl<'a> Symbols<'a> {
    /// The examples `examples` of `all`.
    ///
    /// # Errors
    /// A symbol of theirs is not in `0..vocabulary`.
    pub(super) fn check(
        all: ArrayView2<'a, i64>,
        examples: &Range<usize>,
        vocabulary: usize,
        pad: i64,
    ) -> Result<Self> {
        for example in examples.clone() {
            for (at, symbol) in all.row(example).iter().enumerate() {
                if usize::try_from(*symbol).is_ok_and(|row| row < vocabulary) {
                    continue;
                }
                return Err(EngineError::Input {
                    op: "Engine::infer",
                    expected: format!("symbols in 0..{vocabulary}"),
                    found: format!("{symbol} at [{example}, {at}]"),
                });
            }
        }
        let first = examples.start;
        Ok(Self { all, first, pad })
    }

    /// Symbols of each example.
    pub(super) fn length(&self) -> usize {
        self.all.ncols()
    }

    /// The symbols of an example; 0 is the first of those checked.
    pub(super) fn row(&self, example: usize) -> ArrayView1<'a, i64> {
        self.all
            .index_axis_move(ndarray::Axis(0), self.first + example)
    }

    /// Whether a symbol is not padding.
    pub(super) fn is_real(&self, symbol: i64) -> bool {
        symbol != self.pad
    }

    /// Whether a window of an example has a symbol that is not padding.
    pub(super) fn any(&self, example: usize, index: usize, window: usize) -> bool {
        let row = self.row(example);
        let start = index * window;
        let end = row.len().min(start + window);
        (start..end).any(|at| self.is_real(row[at]))
    }

    /// Which windows of each of `examples` have symbols that are not padding.
    pub(super) fn mask(&self, examples: usize, window: usize, mask: &mut Vec<bool>) {
        let windows = self.length().div_ceil(window);
        mask.clear();
        let all = (0..examples).flat_map(|example| (0..windows).map(move |w| (example, w)));
        mask.extend(all.map(|(example, index)| self.any(example, index, window)));
    }

    /// Writes the vectors of a block of symbols into its rows; of padding only if `padding`, else zeros.
    pub(super) fn embed(
        &self,
        embedding: &Array2<f32>,
        (example, block): (usize, usize),
        padding: bool,
        y: &mut [Row],
    ) {
        y.fill(Row::ZERO);
        let symbols = self.row(example).into_iter().skip(block * WIDTH);
        for (lane, symbol) in symbols.take(WIDTH).enumerate() {
            if !padding && !self.is_real(*symbol) {
                continue;
            }
            let features = usize::try_from(*symbol).map(|row| embedding.row(row));
            for (row, feature) in y.iter_mut().zip(features.into_iter().flatten()) {
                row.0[lane] = *feature;
            }
        }
    }
}
