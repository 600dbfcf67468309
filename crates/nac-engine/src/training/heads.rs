//! Products with the weight of each head: between `[rows, heads, head_dim]` and `[rows, heads, width]`.

use super::compute::{Chunks, Compute};
use super::product::{Left, Multiply, Right};

/// Sizes of a weight `[heads · head_dim, width]` that is used head by head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub(super) heads: usize,
    pub(super) head_dim: usize,
    pub(super) width: usize,
}

impl Heads {
    /// Numbers in a row of narrow heads.
    pub(super) fn inner(self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers in a row of wide heads.
    pub(super) fn wide(self) -> usize {
        self.heads * self.width
    }

    /// `wide_h = narrow_h W_h` for each head `h`.
    ///
    /// # Shapes
    /// - narrow: `[rows, heads, head_dim]`
    /// - weight: `[heads, head_dim, width]`
    /// - wide: `[rows, heads, width]`
    pub(super) fn widen(self, compute: &Compute, narrow: &[f32], weight: &[f32], wide: &mut [f32]) {
        for head in 0..self.heads {
            compute.arch().dispatch(Multiply {
                a: Left::Rows {
                    data: &narrow[head * self.head_dim..],
                    stride: self.inner(),
                },
                b: Right::Rows {
                    data: &weight[head * self.head_dim * self.width..],
                    stride: self.width,
                },
                rows: narrow.len() / self.inner(),
                c: &mut wide[head * self.width..],
                c_stride: self.wide(),
                columns: self.width,
                depth: self.head_dim,
                add: false,
                bias: None,
            });
        }
    }

    /// `narrow_h = wide_h W_hᵀ + bias_h` for each head `h`.
    ///
    /// # Shapes
    /// - transposed: `[width, heads, head_dim]`
    /// - bias: `[heads, head_dim]`
    pub(super) fn narrow(
        self,
        compute: &Compute,
        wide: &[f32],
        (transposed, bias): (&[f32], Option<&[f32]>),
        narrow: &mut [f32],
    ) {
        for head in 0..self.heads {
            let first = head * self.head_dim;
            compute.arch().dispatch(Multiply {
                a: Left::Rows {
                    data: &wide[head * self.width..],
                    stride: self.wide(),
                },
                b: Right::Rows {
                    data: &transposed[first..],
                    stride: self.inner(),
                },
                rows: wide.len() / self.wide(),
                c: &mut narrow[first..],
                c_stride: self.inner(),
                columns: self.head_dim,
                depth: self.width,
                add: false,
                bias: bias.map(|bias| &bias[first..first + self.head_dim]),
            });
        }
    }

    /// `∇W_h = narrow_hᵀ wide_h` for each head `h`, in parallel.
    pub(super) fn weight_gradient(
        self,
        compute: &Compute,
        narrow: &[f32],
        wide: &[f32],
        gradient: &mut [f32],
    ) {
        let parts = Chunks::new(gradient, self.head_dim * self.width);
        compute.each(self.heads, parts, |head, part, _| {
            compute.arch().dispatch(Multiply {
                a: Left::Columns {
                    data: &narrow[head * self.head_dim..],
                    stride: self.inner(),
                },
                b: Right::Rows {
                    data: &wide[head * self.width..],
                    stride: self.wide(),
                },
                rows: self.head_dim,
                c: part.into_slice(),
                c_stride: self.width,
                columns: self.width,
                depth: narrow.len() / self.inner(),
                add: false,
                bias: None,
            });
        });
    }

    /// The weight as [`Self::narrow`] reads it.
    pub(super) fn transpose(self, weight: &[f32], transposed: &mut Vec<f32>) {
        let inner = self.inner();
        transposed.resize(inner * self.width, 0.0);
        for (output, row) in weight.chunks_exact(self.width).enumerate() {
            for (input, value) in row.iter().enumerate() {
                transposed[input * inner + output] = *value;
            }
        }
    }
}
