//! Attention along the edges of a graph.

use std::sync::Arc;

use super::edges::EdgeSet;
use super::key_value::KeyValues;
use super::key_value_layout::ItemMajor;
use super::layer::{Attention, MAX_SETS};
use crate::backend::{Backend, Precision};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;
use crate::simd::edges::{AttendEdges, Edges};
use crate::simd::transpose::{ToFeatureMajor, ToItemMajor};

impl Attention {
    fn item_major(&self) -> ItemMajor {
        ItemMajor::new(self.keys, self.values)
    }

    /// Queries and messages, item-major and feature-major.
    pub(super) fn edge_scratch_size(&self) -> ScratchSize {
        let (queries, messages) = self.item_major().widths();
        ScratchSize {
            operand: queries,
            query: self.keys.rows(),
            message: self.values.rows(),
            hidden: messages,
            ..ScratchSize::default()
        }
    }

    /// Attends to the senders of each receiver of some blocks, into `message`; the first is block `first`.
    pub(super) fn attend_edges(
        &self,
        edges: &[Arc<EdgeSet>],
        backend: &Backend,
        first: usize,
        states: &[Row],
        sources: &[KeyValues<'_>],
        scratch: &mut Scratch,
    ) {
        (self.queries).compute(backend, Precision::F32, first, states, scratch);
        let layout = self.item_major();
        let (query, message) = layout.widths();
        let (query_rows, message_rows) = (self.keys.rows(), self.values.rows());
        for offset in 0..states.len() / self.exit.output_rows() {
            let rows = self.queries.all((first, offset), &scratch.query);
            let queries = bytemuck::cast_slice_mut(&mut scratch.operand[..query]);
            backend.arch.dispatch(ToItemMajor {
                layout: layout.queries(),
                rows: &rows[..query_rows],
                items: queries,
            });
            debug_assert_eq!(sources.len(), edges.len());
            let mut sets = [Edges::NONE; MAX_SETS];
            for ((source, edges), set) in sources.iter().zip(edges).zip(&mut sets) {
                *set = edges.block(first + offset, bytemuck::cast_slice(source.stored));
            }
            let messages: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.hidden[..message]);
            backend.arch.dispatch(AttendEdges {
                shape: layout.shape,
                queries,
                sets: &sets,
                scores: bytemuck::cast_slice_mut(&mut scratch.scores),
                out: messages,
            });
            backend.arch.dispatch(ToFeatureMajor {
                layout: layout.messages(),
                items: messages,
                rows: &mut scratch.message[offset * message_rows..][..message_rows],
            });
        }
    }
}
