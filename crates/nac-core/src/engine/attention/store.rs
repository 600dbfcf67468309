//! Where keys and values of a block of senders lie.

use crate::engine::blocks::Layout;
use crate::engine::layer::Precision;
use crate::engine::layer::Tools;
use crate::engine::simd::attend::Source;
use crate::engine::simd::bf16::narrow;
use crate::engine::simd::norm::Pair;
use crate::engine::simd::{PairRow, Row, WIDTH};

/// The form of stored keys and values: first all rows of keys, then all rows of values.
///
/// In bfloat16, rows of keys are in pairs and rows of values hold pairs of senders, so both take half the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Store {
    keys: usize,
    values: usize,
    /// Whether keys and values are the same rows, and the same for every head (folded read-in).
    shared: bool,
    precision: Precision,
}

impl Store {
    /// For keys and values of heads.
    pub(crate) fn new(keys: Layout, values: Layout, precision: Precision) -> Self {
        Self {
            keys: keys.rows(),
            values: values.rows(),
            shared: false,
            precision: precision.at_the_ends(),
        }
    }

    /// For `rows` rows of tokens that are keys and values of every head.
    pub(crate) fn shared(rows: usize, precision: Precision) -> Self {
        Self {
            keys: rows,
            values: rows,
            shared: true,
            precision: precision.at_the_ends(),
        }
    }

    /// Rows of a block.
    pub(crate) fn rows(self) -> usize {
        match self.precision {
            Precision::F32 if self.shared => self.keys,
            Precision::F32 => self.keys + self.values,
            Precision::Bf16 | Precision::Int8 => (self.keys + self.values) / 2,
        }
    }

    /// Stores keys and values of a block that are the same rows.
    pub(crate) fn put_shared(self, tools: &Tools, x: &[Row], block: &mut [Row]) {
        match self.precision {
            Precision::F32 => block.copy_from_slice(x),
            Precision::Bf16 | Precision::Int8 => {
                self.put_keys(tools, x, block);
                self.put_values(x, block);
            }
        }
    }

    /// Rows of a block and the first row of values, if keys and values are stored as they are.
    pub(crate) fn in_place(self) -> Option<(usize, usize)> {
        (self.precision == Precision::F32).then(|| (self.rows(), self.keys))
    }

    /// Stores keys as pairs.
    pub(crate) fn put_keys(self, tools: &Tools, keys: &[Row], block: &mut [Row]) {
        let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut block[..self.keys / 2]);
        tools.arch.dispatch(Pair {
            x: keys,
            factor: None,
            y,
        });
    }

    /// Stores values as pairs.
    pub(crate) fn put_values(self, values: &[Row], block: &mut [Row]) {
        let pairs: &mut [[u32; WIDTH / 2]] = bytemuck::cast_slice_mut(&mut block[self.keys / 2..]);
        for (row, pairs) in values.iter().zip(pairs) {
            narrow(row, pairs);
        }
    }

    /// Keys and values of a head; `key` and `value` are the rows of one head.
    pub(crate) fn source(
        self,
        blocks: &[Row],
        head: usize,
        key: usize,
        value: usize,
    ) -> Source<'_> {
        let head = if self.shared { 0 } else { head };
        match self.precision {
            Precision::F32 => Source::F32 {
                blocks,
                stride: self.rows(),
                key: head * key,
                value: if self.shared {
                    0
                } else {
                    self.keys + head * value
                },
            },
            Precision::Bf16 | Precision::Int8 => Source::Bf16 {
                keys: bytemuck::cast_slice(blocks),
                key_stride: self.rows(),
                key: head * key / 2,
                values: bytemuck::cast_slice(blocks),
                value_stride: 2 * self.rows(),
                value: self.keys + head * value,
            },
        }
    }
}
