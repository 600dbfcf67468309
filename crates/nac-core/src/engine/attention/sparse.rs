//! Receivers that hear their own senders only, along a graph.

use std::sync::Arc;

use super::edges::EdgeSet;
use super::receivers::{Heard, Receivers, SETS};
use super::store::Lines;
use crate::engine::layer::{Precision, Tools};
use crate::engine::simd::edges::{Edges, Hear};
use crate::engine::simd::lines::{ToLines, ToRows};
use crate::engine::simd::{Row, WIDTH};
use crate::engine::team::{Room, Scratch};

impl Receivers {
    fn lines(&self) -> Lines {
        Lines::new(self.keys, self.values)
    }

    /// Rows that edges need: queries and messages in lines, and both in rows.
    pub(super) fn room_for_edges(&self) -> Room {
        let (queries, messages) = self.lines().widths();
        Room {
            operand: queries,
            query: self.keys.rows().max(messages),
            message: self.values.rows(),
            ..Room::default()
        }
    }

    /// What the senders of each receiver of block `block` say, into `message`.
    pub(super) fn hear_edges(
        &self,
        edges: &[Arc<EdgeSet>],
        tools: &Tools,
        block: usize,
        states: &[Row],
        sets: &[Heard<'_>],
        scratch: &mut Scratch,
    ) {
        self.queries
            .compute(tools, Precision::F32, block, states, scratch);
        let lines = self.lines();
        let (query, message) = lines.widths();
        let rows = self.queries.all(block, &scratch.query);
        let queries = bytemuck::cast_slice_mut(&mut scratch.operand[..query]);
        tools.arch.dispatch(ToLines {
            places: lines.queries(),
            rows: &rows[..self.keys.rows()],
            lines: queries,
        });
        let mut heard = [Edges::NONE; SETS];
        for ((set, edges), heard) in sets.iter().zip(edges).zip(&mut heard) {
            *heard = edges.block(block, bytemuck::cast_slice(set.stored));
        }
        let messages: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.query[..message]);
        debug_assert_eq!(queries.len(), query * WIDTH);
        tools.arch.dispatch(Hear {
            shape: lines.shape,
            queries,
            sets: &heard,
            scores: bytemuck::cast_slice_mut(&mut scratch.scores),
            out: messages,
        });
        tools.arch.dispatch(ToRows {
            places: lines.messages(),
            lines: messages,
            rows: &mut scratch.message[..self.values.rows()],
        });
    }
}
