//! The layout of stored keys and values.

use crate::backend::{Backend, Precision};
use crate::blocks::Layout;
use crate::simd::attend::HeadOperands;
use crate::simd::bf16::narrow;
use crate::simd::edges::Shape;
use crate::simd::norm::Pair;
use crate::simd::transpose::{ALIGN, ItemMajorLayout, ToItemMajor};
use crate::simd::{PairRow, Row, WIDTH};

/// How the keys and values of a block of senders are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyValueLayout {
    /// Feature-major: all rows of keys, then all rows of values.
    ///
    /// In bfloat16, rows of keys are pairs of features and rows of values are pairs of senders, so both take half the
    /// memory.
    FeatureMajor {
        keys: usize,
        values: usize,
        bf16: bool,
    },
    /// The same rows are keys and values of every head (folded read-in); in bfloat16 they are stored in both ways.
    Shared { rows: usize, bf16: bool },
    /// Item-major, always in single precision, for attention over edges.
    ItemMajor(ItemMajor),
}

/// For each item the keys of all heads, then the values of all heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemMajor {
    pub(crate) shape: Shape,
    /// Rows of keys and of values of one head, in blocks.
    rows: (usize, usize),
}

impl ItemMajor {
    /// For as many heads of keys as of values.
    pub(crate) fn new(keys: Layout, values: Layout) -> Self {
        let head = |layout: Layout| layout.head_rows().next_multiple_of(ALIGN);
        Self {
            shape: Shape {
                heads: keys.rows() / keys.head_rows(),
                key: head(keys),
                value: head(values),
            },
            rows: (keys.head_rows(), values.head_rows()),
        }
    }

    /// Features of the keys, or queries, and of the values of an item.
    pub(crate) fn widths(self) -> (usize, usize) {
        let Shape { heads, key, value } = self.shape;
        (heads * key, heads * value)
    }

    /// Queries alone.
    pub(crate) fn queries(self) -> ItemMajorLayout {
        ItemMajorLayout {
            rows: self.rows.0,
            head: self.shape.key,
            stride: self.widths().0,
            first: 0,
        }
    }

    /// Messages alone.
    pub(crate) fn messages(self) -> ItemMajorLayout {
        ItemMajorLayout {
            rows: self.rows.1,
            head: self.shape.value,
            stride: self.widths().1,
            first: 0,
        }
    }

    fn keys(self) -> ItemMajorLayout {
        let (keys, values) = self.widths();
        ItemMajorLayout {
            stride: keys + values,
            ..self.queries()
        }
    }

    fn values(self) -> ItemMajorLayout {
        let (keys, values) = self.widths();
        ItemMajorLayout {
            stride: keys + values,
            first: keys,
            ..self.messages()
        }
    }
}

impl KeyValueLayout {
    /// For keys and values of heads.
    pub(crate) fn new(keys: Layout, values: Layout, precision: Precision) -> Self {
        Self::FeatureMajor {
            keys: keys.rows(),
            values: values.rows(),
            bf16: precision.without_int8() == Precision::Bf16,
        }
    }

    /// For `rows` rows of tokens that are keys and values of every head.
    pub(crate) fn shared(rows: usize, precision: Precision) -> Self {
        Self::Shared {
            rows,
            bf16: precision.without_int8() == Precision::Bf16,
        }
    }

    /// Item-major, for attention over edges.
    pub(crate) fn items(keys: Layout, values: Layout) -> Self {
        Self::ItemMajor(ItemMajor::new(keys, values))
    }

    /// Rows of a block.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::FeatureMajor { keys, values, bf16 } => (keys + values) >> usize::from(bf16),
            // Keys and values, each of half the size, or the rows themselves.
            Self::Shared { rows, .. } => rows,
            // Items as long as so many rows are wide: 32 of either.
            Self::ItemMajor(items) => items.widths().0 + items.widths().1,
        }
    }

    /// Stores keys and values of a block that are the same rows.
    pub(crate) fn store_shared(self, backend: &Backend, x: &[Row], block: &mut [Row]) {
        match self {
            Self::Shared { bf16: false, .. } => block.copy_from_slice(x),
            _ => {
                self.store_keys(backend, x, block);
                self.store_values(backend, x, block);
            }
        }
    }

    /// Rows of a block and the first row of values, if projections can write keys and values where they are stored.
    pub(crate) fn in_place(self) -> Option<(usize, usize)> {
        match self {
            Self::FeatureMajor {
                keys, bf16: false, ..
            } => Some((self.rows(), keys)),
            _ => None,
        }
    }

    /// Stores the keys of a block.
    pub(crate) fn store_keys(self, backend: &Backend, x: &[Row], block: &mut [Row]) {
        match self {
            Self::ItemMajor(items) => store_items(backend, items.keys(), x, block),
            Self::FeatureMajor {
                keys: rows,
                bf16: true,
                ..
            }
            | Self::Shared { rows, bf16: true } => {
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut block[..rows / 2]);
                let factor = None;
                backend.arch.dispatch(Pair { x, factor, y });
            }
            Self::FeatureMajor { keys: rows, .. } | Self::Shared { rows, .. } => {
                block[..rows].copy_from_slice(x);
            }
        }
    }

    /// Stores the values of a block.
    pub(crate) fn store_values(self, backend: &Backend, x: &[Row], block: &mut [Row]) {
        match self {
            Self::ItemMajor(items) => store_items(backend, items.values(), x, block),
            Self::FeatureMajor {
                keys: rows,
                bf16: true,
                ..
            }
            | Self::Shared { rows, bf16: true } => {
                let y: &mut [[u32; WIDTH / 2]] = bytemuck::cast_slice_mut(&mut block[rows / 2..]);
                for (row, pairs) in x.iter().zip(y) {
                    narrow(row, pairs);
                }
            }
            Self::FeatureMajor { keys, .. } => block[keys..].copy_from_slice(x),
            Self::Shared { .. } => block.copy_from_slice(x),
        }
    }

    /// Queries, keys and values of a head, whose values have `value` rows. `queries` are in the precision in which keys
    /// are stored.
    pub(crate) fn operands<'a>(
        self,
        queries: &'a [Row],
        blocks: &'a [Row],
        head: usize,
        value: usize,
    ) -> HeadOperands<'a> {
        let stride = self.rows();
        let (bf16, key, value) = match self {
            Self::FeatureMajor { keys, bf16, .. } => {
                (bf16, head * queries.len(), keys + head * value)
            }
            Self::Shared { rows, bf16: true } => (true, 0, rows),
            Self::Shared { bf16: false, .. } => (false, 0, 0),
            Self::ItemMajor(_) => unreachable!("items are stored for edges, which are sparse"),
        };
        if bf16 {
            HeadOperands::Bf16 {
                queries: bytemuck::cast_slice(queries),
                keys: bytemuck::cast_slice(blocks),
                key_stride: stride,
                key,
                values: bytemuck::cast_slice(blocks),
                value_stride: 2 * stride,
                value,
            }
        } else {
            HeadOperands::F32 {
                queries,
                blocks,
                stride,
                key,
                value,
            }
        }
    }
}

fn store_items(backend: &Backend, layout: ItemMajorLayout, rows: &[Row], block: &mut [Row]) {
    let items = bytemuck::cast_slice_mut(block);
    backend.arch.dispatch(ToItemMajor {
        layout,
        rows,
        items,
    });
}
