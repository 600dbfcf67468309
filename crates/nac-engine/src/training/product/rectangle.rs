//! A matrix in rectangles, each of which one thread writes: a product of two matrices over their common rows.

use std::ops::Range;

use crate::training::compute::Compute;

/// Least side of the parts of a large matrix: packing the operands of each part anew costs little.
const LEAST: usize = 192;
/// Parts of a large matrix, if none gets too small.
const PARTS: usize = 8;
/// Heights are multiples of this, which the products of single precision like best.
const TILE: usize = 48;

/// Rows and columns of the parts of a matrix, by its size alone.
fn sides((rows, columns): (usize, usize)) -> (usize, usize) {
    if rows * columns < 4 * LEAST * LEAST {
        let height = rows.div_ceil(4).next_multiple_of(TILE).max(2 * TILE);
        return (height, columns.max(1));
    }
    let (mut height, mut width, mut parts) = (rows, columns, 1);
    while parts < PARTS && height.max(width) >= 2 * LEAST {
        if height >= width {
            height = height.div_ceil(2);
        } else {
            width = width.div_ceil(2);
        }
        parts *= 2;
    }
    (height.next_multiple_of(TILE), width.next_multiple_of(TILE))
}

/// Runs `work` for each of the parts of a matrix `[rows, columns]`, in parallel.
pub(super) fn rectangles(
    compute: &Compute,
    matrix: &mut [f32],
    size: (usize, usize),
    work: impl Fn(Rectangle<'_>) + Sync,
) {
    let (rows, columns) = size;
    assert_eq!(matrix.len(), rows * columns);
    let (height, width) = sides(size);
    let across = columns.div_ceil(width);
    let start = Start(matrix.as_mut_ptr());
    compute.each(rows.div_ceil(height) * across, (), |index, (), _| {
        let (row, column) = (index / across * height, index % across * width);
        work(Rectangle {
            start: &start,
            stride: columns,
            rows: row..rows.min(row + height),
            columns: column..columns.min(column + width),
        });
    });
}

/// The first number of a matrix.
struct Start(*mut f32);

// SAFETY: the pointer is used only by `Rectangle::product`, and rectangles that exist at the same time do not overlap.
#[allow(unsafe_code, reason = "rectangles of a matrix are not slices")]
unsafe impl Sync for Start {}

/// Some rows and columns of a matrix, for one thread to write.
pub(super) struct Rectangle<'a> {
    start: &'a Start,
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Rectangle<'_> {
    pub(super) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub(super) fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// `c[i][j] = Σ_k a[k][i] b[k][j]`, where `c` is this rectangle.
    ///
    /// # Shapes
    /// - a: `[depth, rows]`, row `k` starts at `k` times the number beside it
    /// - b: `[depth, columns]`, in the same way
    pub(super) fn product(
        self,
        depth: usize,
        (a, a_stride): (&[f32], usize),
        (b, b_stride): (&[f32], usize),
    ) {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        if rows == 0 || columns == 0 || depth == 0 {
            return;
        }
        assert!(a_stride >= rows && a.len() >= (depth - 1) * a_stride + rows);
        assert!(b_stride >= columns && b.len() >= (depth - 1) * b_stride + columns);
        let first = self.rows.start * self.stride + self.columns.start;
        // SAFETY: `rectangles` makes a rectangle within the bounds of a matrix that it has borrowed exclusively for as long
        // as rectangles exist, gives each to one call of `work`, which this method consumes, and makes none that overlap. So
        // all numbers from `first` on that are read or written lie in the matrix and belong to this thread. The operands are as
        // long as asserted, and slices, so that their strides fit `isize`.
        #[allow(unsafe_code, reason = "the crate takes pointers and strides")]
        unsafe {
            gemm::gemm(
                rows,
                columns,
                depth,
                self.start.0.add(first),
                1,
                self.stride as isize,
                false,
                a.as_ptr(),
                a_stride as isize,
                1,
                b.as_ptr(),
                1,
                b_stride as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::training::compute::TrainingPrecision;

    #[test]
    fn every_number_is_in_one_rectangle() {
        for size in [
            (1, 1),
            (256, 64),
            (3072, 384),
            (384, 1536),
            (500, 390),
            (97, 3000),
        ] {
            let compute = Compute::new(2, TrainingPrecision::F32).unwrap();
            let seen = Mutex::new(vec![0_u8; size.0 * size.1]);
            let mut matrix = vec![0.0; size.0 * size.1];
            rectangles(&compute, &mut matrix, size, |part| {
                let mut seen = seen.lock().unwrap();
                for i in part.rows() {
                    for seen in &mut seen[i * size.1..][part.columns()] {
                        *seen += 1;
                    }
                }
            });
            assert!(
                seen.into_inner().unwrap().iter().all(|count| *count == 1),
                "{size:?}"
            );
        }
    }
}
