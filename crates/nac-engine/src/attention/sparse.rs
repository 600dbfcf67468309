//! Receivers that hear their own senders only, along a graph.

use std::sync::Arc;

use super::edges::EdgeSet;
use super::receivers::{Heard, Receivers, SETS};
use super::store::Lines;
use crate::layer::{Precision, Tools};
use crate::simd::edges::{Edges, Hear};
use crate::simd::lines::{ToLines, ToRows};
use crate::simd::{Row, WIDTH};
use crate::team::{Room, Scratch};

impl Receivers {
    fn lines(&self) -> Lines {
        Lines::new(self.keys, self.values)
    }

    /// Rows that edges need: queries and messages in lines, and both in rows.
    pub(super) fn room_for_edges(&self) -> Room {
        let (queries, messages) = self.lines().widths();
        Room {
            operand: queries,
            query: self.keys.rows(),
            message: self.values.rows(),
            hidden: messages,
            ..Room::default()
        }
    }

    /// What the senders of each receiver of some blocks say, into `message`; the first is block `first`.
    pub(super) fn hear_edges(
        &self,
        edges: &[Arc<EdgeSet>],
        tools: &Tools,
        first: usize,
        states: &[Row],
        sets: &[Heard<'_>],
        scratch: &mut Scratch,
    ) {
        self.queries
            .compute(tools, Precision::F32, first, states, scratch);
        let lines = self.lines();
        let (query, message) = lines.widths();
        let (rows, heard_rows) = (self.keys.rows(), self.values.rows());
        for offset in 0..states.len() / self.exit.output_rows() {
            let asked = self.queries.all((first, offset), &scratch.query);
            let queries = bytemuck::cast_slice_mut(&mut scratch.operand[..query]);
            tools.arch.dispatch(ToLines {
                places: lines.queries(),
                rows: &asked[..rows],
                lines: queries,
            });
            let mut heard = [Edges::NONE; SETS];
            for ((set, edges), heard) in sets.iter().zip(edges).zip(&mut heard) {
                *heard = edges.block(first + offset, bytemuck::cast_slice(set.stored));
            }
            debug_assert_eq!(queries.len(), query * WIDTH);
            let messages: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.hidden[..message]);
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
                rows: &mut scratch.message[offset * heard_rows..][..heard_rows],
            });
        }
    }
}
