//! Where keys and values of a block of senders lie.

use crate::blocks::Layout;
use crate::layer::Precision;
use crate::layer::Tools;
use crate::simd::attend::Source;
use crate::simd::bf16::narrow;
use crate::simd::edges::Shape;
use crate::simd::lines::{ALIGN, Places, ToLines};
use crate::simd::norm::Pair;
use crate::simd::{PairRow, Row, WIDTH};

/// The form of stored keys and values: first all rows of keys, then all rows of values.
///
/// In bfloat16, rows of keys are in pairs and rows of values hold pairs of senders, so both take half the room.
/// For attention over edges there is a line for each sender instead, always in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Store {
    keys: usize,
    values: usize,
    /// Whether keys and values are the same rows, and the same for every head (folded read-in).
    shared: bool,
    precision: Precision,
    lines: Option<Lines>,
}

/// A line for each item: keys of all heads, then values of all heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) shape: Shape,
    /// Rows of keys and of values of one head, in blocks.
    rows: (usize, usize),
}

impl Lines {
    /// Lines for keys and values of as many heads.
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

    /// Numbers of the keys, or queries, and of the values of an item.
    pub(crate) fn widths(self) -> (usize, usize) {
        let Shape { heads, key, value } = self.shape;
        (heads * key, heads * value)
    }

    /// Where queries lie that have lines of their own.
    pub(crate) fn queries(self) -> Places {
        Places {
            rows: self.rows.0,
            head: self.shape.key,
            line: self.widths().0,
            first: 0,
        }
    }

    /// Where messages lie that have lines of their own.
    pub(crate) fn messages(self) -> Places {
        Places {
            rows: self.rows.1,
            head: self.shape.value,
            line: self.widths().1,
            first: 0,
        }
    }

    fn keys(self) -> Places {
        let (keys, values) = self.widths();
        Places {
            line: keys + values,
            ..self.queries()
        }
    }

    fn values(self) -> Places {
        let (keys, values) = self.widths();
        Places {
            line: keys + values,
            first: keys,
            ..self.messages()
        }
    }
}

impl Store {
    /// For keys and values of heads.
    pub(crate) fn new(keys: Layout, values: Layout, precision: Precision) -> Self {
        Self {
            keys: keys.rows(),
            values: values.rows(),
            shared: false,
            precision: precision.at_the_ends(),
            lines: None,
        }
    }

    /// For `rows` rows of tokens that are keys and values of every head.
    pub(crate) fn shared(rows: usize, precision: Precision) -> Self {
        Self {
            keys: rows,
            values: rows,
            shared: true,
            precision: precision.at_the_ends(),
            lines: None,
        }
    }

    /// A line for each item, to be read by [`crate::simd::edges`].
    pub(crate) fn lines(lines: Lines) -> Self {
        // 32 lines of a number of numbers are as many rows.
        let (keys, values) = lines.widths();
        Self {
            keys,
            values,
            shared: false,
            precision: Precision::F32,
            lines: Some(lines),
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
                self.put_values(tools, x, block);
            }
        }
    }

    /// Rows of a block and the first row of values, if keys and values are stored as they are.
    pub(crate) fn in_place(self) -> Option<(usize, usize)> {
        let as_they_are = self.precision == Precision::F32 && self.lines.is_none();
        as_they_are.then(|| (self.rows(), self.keys))
    }

    /// Stores keys as pairs or in lines.
    pub(crate) fn put_keys(self, tools: &Tools, keys: &[Row], block: &mut [Row]) {
        if let Some(lines) = self.lines {
            put_lines(tools, lines.keys(), keys, block);
            return;
        }
        let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut block[..self.keys / 2]);
        tools.arch.dispatch(Pair {
            x: keys,
            factor: None,
            y,
        });
    }

    /// Stores values as pairs or in lines.
    pub(crate) fn put_values(self, tools: &Tools, values: &[Row], block: &mut [Row]) {
        if let Some(lines) = self.lines {
            put_lines(tools, lines.values(), values, block);
            return;
        }
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

fn put_lines(tools: &Tools, places: Places, rows: &[Row], block: &mut [Row]) {
    let lines = bytemuck::cast_slice_mut(block);
    tools.arch.dispatch(ToLines {
        places,
        rows,
        lines,
    });
}
