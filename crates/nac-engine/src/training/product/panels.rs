//! Packs a matrix into panels: the columns of one tile after the other, each panel row-major and contiguous.

use pulp::{Simd, WithSimd};

use super::kernel::{panel, width};
use super::round::round_all;

/// Side of the squares that are transposed in registers.
const SQUARE: usize = 8;

/// What is packed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// `b[k][j] = data[k · stride + j]`.
    Rows { data: &'a [f32], stride: usize },
    /// `b[k][j] = data[j · stride + k]`.
    Columns { data: &'a [f32], stride: usize },
}

/// Packs the columns from `first` on, as many as `panels` holds; those beyond the last are zero.
pub(super) struct Panels<'a> {
    pub(super) source: Source<'a>,
    /// Number of rows.
    pub(super) depth: usize,
    /// Number of columns of the whole matrix.
    pub(super) columns: usize,
    pub(super) first: usize,
    /// Whether numbers are rounded to bfloat16.
    pub(super) round: bool,
    /// [`packed_len`] numbers, or those of some whole panels.
    pub(super) panels: &'a mut [f32],
}

impl WithSimd for Panels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (mut column, mut rest) = (self.first, self.panels);
        while column < self.columns && !rest.is_empty() {
            let columns = width::<S>(self.columns - column);
            let stride = columns.next_multiple_of(S::F32_LANES);
            let (panel, others) = rest.split_at_mut(stride * self.depth);
            match self.source {
                Source::Rows { data, stride: from } => {
                    for (row, to) in data.chunks(from).zip(panel.chunks_exact_mut(stride)) {
                        let (to, padding) = to.split_at_mut(columns);
                        to.copy_from_slice(&row[column..][..columns]);
                        padding.fill(0.0);
                    }
                }
                Source::Columns { data, stride: from } => {
                    for (j, row) in data[column * from..].chunks(from).take(columns).enumerate() {
                        if j % SQUARE == 0 && j + SQUARE <= columns {
                            let rows = &data[(column + j) * from..];
                            transpose(rows, from, self.depth, (&mut panel[j..], stride));
                        } else if j / SQUARE == columns / SQUARE {
                            scatter(&row[..self.depth], (&mut panel[j..], stride));
                        }
                    }
                    for row in panel.chunks_exact_mut(stride) {
                        row[columns..].fill(0.0);
                    }
                }
            }
            if self.round {
                round_all(panel);
            }
            (column, rest) = (column + columns, others);
        }
    }
}

/// Eight rows of `from`, each `depth` numbers, become eight columns.
#[inline(always)]
fn transpose(from: &[f32], from_stride: usize, depth: usize, to: (&mut [f32], usize)) {
    let rows: [&[f32]; SQUARE] = std::array::from_fn(|i| &from[i * from_stride..][..depth]);
    let (to, stride) = to;
    let whole = depth / SQUARE * SQUARE;
    for k in (0..whole).step_by(SQUARE) {
        let mut square = [[0.0; SQUARE]; SQUARE];
        for (i, row) in rows.iter().enumerate() {
            for (line, value) in square.iter_mut().zip(&row[k..k + SQUARE]) {
                line[i] = *value;
            }
        }
        for (line, to) in square.iter().zip(to[k * stride..].chunks_mut(stride)) {
            to[..SQUARE].copy_from_slice(line);
        }
    }
    for (i, row) in rows.iter().enumerate() {
        for k in whole..depth {
            to[k * stride + i] = row[k];
        }
    }
}

/// One row becomes a column.
#[inline(always)]
fn scatter(row: &[f32], (to, stride): (&mut [f32], usize)) {
    for (value, to) in row.iter().zip(to.chunks_mut(stride)) {
        to[0] = *value;
    }
}

/// Columns of a whole panel on this processor, and the multiple to which columns are padded.
pub(super) fn layout(arch: pulp::Arch) -> (usize, usize) {
    struct Layout;
    impl WithSimd for Layout {
        type Output = (usize, usize);

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
            (panel::<S>(), S::F32_LANES)
        }
    }
    arch.dispatch(Layout)
}

/// Numbers that a packed matrix takes.
pub(super) fn packed_len(arch: pulp::Arch, depth: usize, columns: usize) -> usize {
    columns.next_multiple_of(layout(arch).1) * depth
}
