//! Rounds operands to bfloat16 and lays them out in pairs for blocks of products.

use pulp::{Simd, WithSimd};

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::{BLOCK, SQUARE};
use crate::training::product::panels::Source;
use crate::training::product::round::{bits, pair};

/// Pairs of a row of this many numbers.
pub(in super::super) fn row_pairs(depth: usize) -> usize {
    depth.next_multiple_of(BLOCK) / 2
}

/// Numbers that a left operand takes: whole blocks of rows.
pub(in super::super) fn rows_len(rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(BLOCK) * row_pairs(depth)
}

/// Numbers that a panel of 32 columns takes.
pub(in super::super) fn panel_len(depth: usize) -> usize {
    BLOCK * row_pairs(depth)
}

/// Packs the left operand `a[i][k]`; rows beyond the last are left as they are.
pub(in super::super) struct PackLeft<'a> {
    pub(in super::super) source: Source<'a>,
    pub(in super::super) rows: usize,
    pub(in super::super) depth: usize,
    /// `[rows][row_pairs]`.
    pub(in super::super) pairs: &'a mut [u32],
}

/// Packs 32 columns of the right operand `b[k][j]` from `first` on; those beyond the last are zero.
pub(in super::super) struct PackPanel<'a> {
    pub(in super::super) source: Source<'a>,
    pub(in super::super) depth: usize,
    pub(in super::super) columns: usize,
    pub(in super::super) first: usize,
    /// `[row_pairs][32]`.
    pub(in super::super) panel: &'a mut [u32],
}

impl WithSimd for PackLeft<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let stride = row_pairs(self.depth);
        match self.source {
            // `a[i][k] = data[i · stride + k]`, transposed from the point of view of a right operand.
            Source::Columns { data, stride: from } => {
                let rows = data.chunks(from).zip(self.pairs.chunks_exact_mut(stride));
                for (row, to) in rows.take(self.rows) {
                    narrow(&row[..self.depth], to);
                }
            }
            Source::Rows { data, stride: from } => {
                let lines = Lines {
                    data,
                    stride: from,
                    depth: self.depth,
                };
                transpose_lines(lines, self.rows, self.pairs, stride);
            }
        }
    }
}

impl WithSimd for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let columns = BLOCK.min(self.columns - self.first);
        match self.source {
            Source::Rows { data, stride } => {
                let lines = Lines {
                    data: &data[self.first..],
                    stride,
                    depth: self.depth,
                };
                for (k, to) in self.panel.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                    if columns == BLOCK {
                        lines.interleave(k, to);
                    } else {
                        lines.interleave(k, &mut to[..columns]);
                        to[columns..].fill(0);
                    }
                }
            }
            Source::Columns { data, stride } => {
                transpose_rows(
                    &data[self.first * stride..],
                    stride,
                    (columns, self.depth),
                    self.panel,
                );
            }
        }
    }
}

/// Rows of numbers of which two neighbours make a row of pairs.
#[derive(Clone, Copy)]
struct Lines<'a> {
    data: &'a [f32],
    stride: usize,
    depth: usize,
}

impl Lines<'_> {
    /// Rows `2k` and `2k + 1`, of which the second or both may be beyond the last.
    #[inline(always)]
    fn interleave(self, k: usize, to: &mut [u32]) {
        let (first, second) = (2 * k, 2 * k + 1);
        if second < self.depth {
            let low = &self.data[first * self.stride..][..to.len()];
            let high = &self.data[second * self.stride..][..to.len()];
            for ((to, low), high) in to.iter_mut().zip(low).zip(high) {
                *to = pair(*low, *high);
            }
        } else if first < self.depth {
            let low = &self.data[first * self.stride..][..to.len()];
            for (to, low) in to.iter_mut().zip(low) {
                *to = pair(*low, 0.0);
            }
        } else {
            to.fill(0);
        }
    }
}

/// One row, padded with zeros.
#[inline(always)]
fn narrow(row: &[f32], to: &mut [u32]) {
    let to: &mut [u16] = bytemuck::cast_slice_mut(to);
    let (to, padding) = to.split_at_mut(row.len());
    for (to, x) in to.iter_mut().zip(row) {
        *to = (bits(*x) >> 16) as u16;
    }
    padding.fill(0);
}

/// `to[i][k] = (data[2k][i], data[2k + 1][i])`.
#[inline(always)]
fn transpose_lines(lines: Lines<'_>, rows: usize, to: &mut [u32], stride: usize) {
    for k in (0..stride).step_by(SQUARE) {
        for i in (0..rows).step_by(SQUARE) {
            let height = SQUARE.min(rows - i);
            let part = Lines {
                data: lines.data.get(i..).unwrap_or_default(),
                ..lines
            };
            let mut square = [[0; SQUARE]; SQUARE];
            if height == SQUARE && 2 * (k + SQUARE) <= lines.depth {
                for (step, line) in square.iter_mut().enumerate() {
                    let row = &part.data[2 * (k + step) * lines.stride..];
                    let (low, high) = (row.first_chunk(), row[lines.stride..].first_chunk());
                    if let (Some(low), Some(high)) = (low, high) {
                        *line = interleave(low, high);
                    }
                }
            } else {
                for (step, line) in square.iter_mut().enumerate() {
                    part.interleave(k + step, &mut line[..height]);
                }
            }
            transpose(&mut square);
            for (line, to) in square[..height]
                .iter()
                .zip(to[i * stride + k..].chunks_mut(stride))
            {
                to[..SQUARE].copy_from_slice(line);
            }
        }
    }
}

#[inline(always)]
fn interleave(low: &[f32; SQUARE], high: &[f32; SQUARE]) -> [u32; SQUARE] {
    std::array::from_fn(|i| pair(low[i], high[i]))
}

/// `to[k][j] = (data[j][2k], data[j][2k + 1])`, `to` being a panel.
#[inline(always)]
fn transpose_rows(data: &[f32], stride: usize, (columns, depth): (usize, usize), to: &mut [u32]) {
    for (step, to) in to.chunks_exact_mut(BLOCK * SQUARE).enumerate() {
        let start = step * 2 * SQUARE;
        for first in (0..BLOCK).step_by(SQUARE) {
            let mut square = [[0; SQUARE]; SQUARE];
            for (line, j) in square.iter_mut().zip(first..columns) {
                let row = data[j * stride..][..depth].get(start..).unwrap_or_default();
                match row.first_chunk::<{ 2 * SQUARE }>() {
                    Some(whole) => narrow(whole, line),
                    None => narrow(row, line),
                }
            }
            transpose(&mut square);
            for (line, to) in square.iter().zip(to.as_chunks_mut::<BLOCK>().0) {
                to[first..first + SQUARE].copy_from_slice(line);
            }
        }
    }
}

/// Rows become columns.
#[inline(always)]
pub(crate) fn transpose(square: &mut [[u32; SQUARE]; SQUARE]) {
    #[cfg(target_arch = "x86_64")]
    avx512::transpose(square);
    #[cfg(not(target_arch = "x86_64"))]
    {
        *square = std::array::from_fn(|i| std::array::from_fn(|j| square[j][i]));
    }
}
