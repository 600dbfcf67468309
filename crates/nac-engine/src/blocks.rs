//! Feature-major blocks of 32 items (modules or tokens).

use ndarray::{ArrayView2, ArrayViewMut2};

use super::simd::{Row, WIDTH, padded};

/// How features become rows: each head starts at a multiple of 8, and the rows between are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    heads: usize,
    width: usize,
    head_rows: usize,
}

impl Layout {
    pub(crate) fn plain(features: usize) -> Self {
        Self::heads(1, features)
    }

    pub(crate) fn heads(heads: usize, width: usize) -> Self {
        Self {
            heads,
            width,
            head_rows: padded(width),
        }
    }

    /// As many rows as features, for what no product takes in.
    pub(crate) fn exact(features: usize) -> Self {
        Self {
            heads: 1,
            width: features,
            head_rows: features,
        }
    }

    pub(crate) fn head_count(self) -> usize {
        self.heads
    }

    /// Features of one head.
    pub(crate) fn head_dim(self) -> usize {
        self.width
    }

    /// Number of features.
    pub(crate) fn features(self) -> usize {
        self.heads * self.width
    }

    /// Number of rows.
    pub(crate) fn rows(self) -> usize {
        self.heads * self.head_rows
    }

    /// Rows of one head.
    pub(crate) fn head_rows(self) -> usize {
        self.head_rows
    }

    /// The row of a feature.
    pub(crate) fn row(self, feature: usize) -> usize {
        feature / self.width * self.head_rows + feature % self.width
    }
}

/// Items in blocks of 32, each of the same number of rows.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    rows: usize,
    data: Vec<Row>,
}

impl Blocks {
    /// Zeros for `items` items.
    pub(crate) fn zeros(rows: usize, items: usize) -> Self {
        Self {
            rows,
            data: vec![Row::ZERO; rows * items.div_ceil(WIDTH)],
        }
    }

    /// From `[items, features]`.
    pub(crate) fn from_items(items: ArrayView2<'_, f32>, layout: Layout) -> Self {
        let mut blocks = Self::zeros(layout.rows(), items.nrows());
        for (item, features) in items.outer_iter().enumerate() {
            for (feature, value) in features.iter().enumerate() {
                let row = item / WIDTH * blocks.rows + layout.row(feature);
                blocks.data[row].0[item % WIDTH] = *value;
            }
        }
        blocks
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn block(&self, index: usize) -> &[Row] {
        &self.data[index * self.rows..][..self.rows]
    }

    /// `count` blocks from `first` on.
    pub(crate) fn range(&self, first: usize, count: usize) -> &[Row] {
        &self.data[first * self.rows..][..count * self.rows]
    }

    pub(crate) fn block_mut(&mut self, index: usize) -> &mut [Row] {
        &mut self.data[index * self.rows..][..self.rows]
    }

    /// Rows of all blocks.
    pub(crate) fn all(&self) -> &[Row] {
        &self.data
    }

    pub(crate) fn count(&self) -> usize {
        self.data.len() / self.rows
    }

    /// Multiplies everything by a number.
    pub(crate) fn scale(&mut self, factor: f32) {
        let values = self.data.iter_mut().flat_map(|row| &mut row.0);
        values.for_each(|value| *value *= factor);
    }
}

/// Sets the length of a buffer whose contents do not matter.
pub(crate) fn resize(buffer: &mut Vec<Row>, rows: usize) {
    buffer.resize(rows, Row::ZERO);
}

/// Writes items, `[items, features]`, from blocks of `rows` rows.
pub(crate) fn to_items(blocks: &[Row], rows: usize, mut items: ArrayViewMut2<'_, f32>) {
    for (item, mut features) in items.outer_iter_mut().enumerate() {
        let block = &blocks[item / WIDTH * rows..][..rows];
        for (value, row) in features.iter_mut().zip(block) {
            *value = row.0[item % WIDTH];
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn items_come_back_and_heads_start_at_multiples_of_eight() {
        let layout = Layout::heads(2, 3);
        assert_eq!((layout.rows(), layout.row(2), layout.row(3)), (16, 2, 8));
        let items = Array2::from_shape_fn((40, 6), |(i, f)| (10 * i + f) as f32);
        let blocks = Blocks::from_items(items.view(), layout);
        assert_eq!((blocks.count(), blocks.block(1)[8].0[7]), (2, 393.0));
        let plain = Blocks::from_items(items.view(), Layout::plain(6));
        let mut back = Array2::zeros((40, 6));
        to_items(&plain.data, 8, back.view_mut());
        assert_eq!(back, items);
    }
}
