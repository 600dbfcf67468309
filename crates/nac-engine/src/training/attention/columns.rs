//! The columns of some heads in matrices that tasks write at the same time.

#![allow(unsafe_code, reason = "no safe slice has gaps that others write to")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::training::compute::Split;

/// Some columns of a row-major matrix, for writing.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    /// Of the first row.
    start: *mut f32,
    rows: usize,
    stride: usize,
    width: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

impl<'a> Columns<'a> {
    /// All columns of a matrix of `width` columns.
    pub(crate) fn all(data: &'a mut [f32], width: usize) -> Self {
        Self {
            start: data.as_mut_ptr(),
            rows: data.len() / width.max(1),
            stride: width,
            width,
            matrix: PhantomData,
        }
    }

    /// The part of row `i` that lies in these columns.
    #[inline(always)]
    pub(super) fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        // SAFETY: where a value is made, `rows` rows at a distance of `stride` and `width` columns from `start` lie within
        // one slice that is borrowed mutably for `'a`, and no other value has any of these columns.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(i * self.stride), self.width) }
    }

    /// Overwrites all numbers.
    #[inline(always)]
    pub(super) fn fill(&mut self, value: f32) {
        for i in 0..self.rows {
            self.row(i).fill(value);
        }
    }
}

/// The matrices `[rows, groups · width]` of a batch, in parts: the groups of columns of each.
#[derive(Debug)]
pub(super) struct HeadParts<'a> {
    start: *mut f32,
    rows: usize,
    groups: usize,
    /// Columns of a group.
    width: usize,
    /// Parts that are left.
    parts: Range<usize>,
    matrices: PhantomData<&'a mut [f32]>,
}

// SAFETY: a value stands for a mutable borrow of its parts of a slice, and no two values have a part in common: `new` takes
// all of the slice, and `split` deals its parts out. Threads may hold different parts of a slice of numbers.
unsafe impl Send for HeadParts<'_> {}

impl<'a> HeadParts<'a> {
    /// All parts of `data`, `[batch, rows, groups · width]`.
    ///
    /// # Panics
    /// If `data` has another length.
    pub(super) fn new(
        data: &'a mut [f32],
        [batch, rows]: [usize; 2],
        [groups, width]: [usize; 2],
    ) -> Self {
        assert_eq!(data.len(), batch * rows * groups * width);
        Self {
            start: data.as_mut_ptr(),
            rows,
            groups,
            width,
            parts: 0..batch * groups,
            matrices: PhantomData,
        }
    }

    /// The first part that is left.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn columns(self) -> Columns<'a> {
        assert!(!self.parts.is_empty());
        let (matrix, group) = (
            self.parts.start / self.groups,
            self.parts.start % self.groups,
        );
        let stride = self.groups * self.width;
        let offset = matrix * self.rows * stride + group * self.width;
        Columns {
            // SAFETY: `new` has asserted that the slice holds the matrices of all parts, and this one is among them.
            start: unsafe { self.start.add(offset) },
            rows: self.rows,
            stride,
            width: self.width,
            matrix: PhantomData,
        }
    }
}

impl Split for HeadParts<'_> {
    fn split(self, parts: usize) -> (Self, Self) {
        let middle = (self.parts.start + parts).min(self.parts.end);
        let part = |parts| Self { parts, ..self };
        (part(self.parts.start..middle), part(middle..self.parts.end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_belongs_to_the_part_of_its_matrix_and_column(
            batch in 0_usize..4, rows in 0_usize..5, groups in 1_usize..4, width in 1_usize..4, low in 0_usize..9,
        ) {
            let mut data = vec![f32::NAN; batch * rows * groups * width];
            let all = HeadParts::new(&mut data, [batch, rows], [groups, width]);
            let count = all.parts.len();
            prop_assert_eq!(count, batch * groups);
            let (first, second) = all.split(low.min(count));
            let mut index = 0;
            for mut rest in [first, second] {
                while !rest.parts.is_empty() {
                    let (one, others) = rest.split(1);
                    one.columns().fill(index as f32);
                    index += 1;
                    rest = others;
                }
            }
            for (at, value) in data.iter().enumerate() {
                let (row, column) = (at / (groups * width), at % (groups * width));
                prop_assert_eq!(*value, (row / rows * groups + column / width) as f32);
            }
        }
    }
}
