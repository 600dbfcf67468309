//! How the rows `[batch, modules]` of a block are dealt out: in parts that depend on sizes alone.
//!
//! A part is a few whole examples, or some modules of one example. Gradients of what examples share are summed within
//! a part, then over parts in their order.

use super::compute::{Chunks, Compute, Split};
use super::operands::Items;
use super::rows::AddTo;

/// Rows that a part of several examples has at least, if there are as many.
const ROWS: usize = 128;
/// Most rows that go through all operations at once: enough to read a large weight seldom.
const BLOCK: usize = 192;
/// Most groups of examples, each of which has sums of its own.
const GROUPS: usize = 16;

/// The parts of the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    items: Items,
    /// Examples of a part.
    group: usize,
    /// Modules of a part: all of them, unless a part is one example.
    chunk: usize,
}

/// Some rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) rows: usize,
}

impl Span {
    /// Parts of at most [`BLOCK`] rows, which go through all operations while they are in the cache.
    pub(super) fn blocks(self) -> impl Iterator<Item = Self> {
        let size = self.rows.div_ceil(self.rows.div_ceil(BLOCK).max(1)).max(1);
        (0..self.rows).step_by(size).map(move |offset| Self {
            first: self.first + offset,
            rows: size.min(self.rows - offset),
        })
    }

    /// The rows of each example, with its number.
    pub(super) fn examples(self, modules: usize) -> impl Iterator<Item = (usize, Self)> {
        let end = self.first + self.rows;
        let mut first = self.first;
        std::iter::from_fn(move || {
            let example = first / modules;
            let rows = (end - first).min((example + 1) * modules - first);
            let part = Self { first, rows };
            first += rows;
            (rows > 0).then_some((example, part))
        })
    }

    /// The numbers of these rows in what holds the rows from `first` on.
    pub(super) fn within(self, first: usize, width: usize) -> std::ops::Range<usize> {
        let start = (self.first - first) * width;
        start..start + self.rows * width
    }
}

impl Partition {
    pub(super) fn new(items: Items) -> Self {
        let Items { batch, modules } = items;
        let group = batch.div_ceil(GROUPS).max(ROWS.div_ceil(modules.max(1)));
        let group = group.min(batch).max(1);
        let chunks = if group == 1 {
            modules.div_ceil(BLOCK).max(1)
        } else {
            1
        };
        Self {
            items,
            group,
            chunk: modules.div_ceil(chunks).max(1),
        }
    }

    fn chunks(&self) -> usize {
        self.items.modules.div_ceil(self.chunk)
    }

    /// Groups of examples.
    pub(super) fn groups(&self) -> usize {
        self.items.batch.div_ceil(self.group)
    }

    /// Number of parts.
    pub(super) fn parts(&self) -> usize {
        self.groups() * self.chunks()
    }

    /// The first row of a part.
    fn start(&self, part: usize) -> usize {
        let (group, chunk) = (part / self.chunks(), part % self.chunks());
        let example = (group * self.group).min(self.items.batch);
        example * self.items.modules + chunk * self.chunk
    }

    /// The rows of a part.
    pub(super) fn span(&self, part: usize) -> Span {
        let first = self.start(part);
        Span {
            first,
            rows: self.start(part + 1) - first,
        }
    }

    /// Slices of `width` numbers per row, part by part.
    pub(super) fn rows<'a>(self, data: &'a mut [f32], width: usize) -> RowParts<'a> {
        RowParts {
            data,
            width,
            partition: self,
            next: 0,
        }
    }

    /// The parts of sums `[groups, modules, width]` that belong to the parts of the rows.
    pub(super) fn sums<'a>(self, data: &'a mut [f32], width: usize) -> RowParts<'a> {
        let items = Items {
            batch: self.groups(),
            modules: self.items.modules,
        };
        let partition = Self {
            items,
            group: 1,
            chunk: self.chunk,
        };
        partition.rows(data, width)
    }
}

/// A slice of rows in the parts of a [`Partition`].
#[derive(Debug)]
pub(super) struct RowParts<'a> {
    data: &'a mut [f32],
    width: usize,
    partition: Partition,
    /// The first part.
    next: usize,
}

impl<'a> RowParts<'a> {
    /// The numbers of all parts that are left.
    pub(super) fn into_slice(self) -> &'a mut [f32] {
        self.data
    }
}

impl Split for RowParts<'_> {
    fn split(self, parts: usize) -> (Self, Self) {
        let middle = self.next + parts;
        let rows = self.partition.start(middle) - self.partition.start(self.next);
        let (low, high) = self.data.split_at_mut(rows * self.width);
        let part = |data, next| RowParts { data, next, ..self };
        (part(low, self.next), part(high, middle))
    }
}

/// Numbers that are summed in one go.
const SUMS: usize = 4096;

/// `sum = Σ parts`, the parts in their order, each as long as `sum`.
pub(super) fn sum_parts(compute: &Compute, parts: &[f32], sum: &mut [f32]) {
    let len = sum.len();
    let pieces = Chunks::new(sum, SUMS);
    compute.each(len.div_ceil(SUMS), pieces, |index, piece, _| {
        let (piece, at) = (piece.into_slice(), index * SUMS);
        piece.fill(0.0);
        for part in parts.chunks_exact(len) {
            compute.arch().dispatch(AddTo {
                x: &part[at..at + piece.len()],
                y: piece,
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_all_rows_in_order(batch in 1_usize..70, modules in 1_usize..700) {
            let items = Items { batch, modules };
            let partition = Partition::new(items);
            prop_assert!(partition.groups() <= GROUPS);
            let mut next = 0;
            for part in 0..partition.parts() {
                let span = partition.span(part);
                prop_assert_eq!(span.first, next);
                prop_assert!(span.rows > 0);
                let blocks: usize = span.blocks().map(|block| block.rows).sum();
                prop_assert_eq!(blocks, span.rows);
                next += span.rows;
            }
            prop_assert_eq!(next, items.rows());
            // Sums of a part start with its first module and hold as many rows as it has modules.
            let mut sums = vec![0.0; partition.groups() * modules];
            let mut rest = partition.sums(&mut sums, 1);
            for part in 0..partition.parts() {
                let (own, others) = rest.split(1);
                let span = partition.span(part);
                prop_assert_eq!(own.into_slice().len(), span.rows.min(modules));
                rest = others;
            }
        }
    }
}
