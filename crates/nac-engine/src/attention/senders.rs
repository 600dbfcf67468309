//! Senders: from states to stored keys and values.

use super::store::Store;
use crate::layer::{Modulation, Norm, Projection, Target, Tools};
use crate::simd::Row;
use crate::team::{Room, Scratch};

/// Layer norm, key and value projection of one set of senders.
#[derive(Debug, Clone)]
pub(crate) struct Senders {
    pub(crate) norm: Norm,
    pub(crate) key: Projection,
    pub(crate) value: Projection,
    pub(crate) key_modulation: Modulation,
    pub(crate) value_modulation: Modulation,
    pub(crate) store: Store,
}

impl Senders {
    pub(crate) fn room(&self) -> Room {
        let rows = self.key.input_rows();
        Room {
            normal: rows,
            operand: rows,
            query: self.key.output_rows().max(self.value.output_rows()),
            ..Room::default()
        }
    }

    /// Stores keys and values of some blocks, whose states are given; the first is block `first`.
    pub(crate) fn put(
        &self,
        tools: &Tools,
        first: usize,
        states: &[Row],
        stored: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let normal = &mut scratch.normal[..states.len()];
        self.norm.apply(tools, states, normal);
        let (store, room) = (self.store, &mut scratch.operand);
        let count = states.len() / self.key.input_rows();
        let mut project =
            |projection: &Projection, modulation: &Modulation, y: &mut [Row], stride| {
                let target = Target::overwrite(y, stride);
                projection.apply(tools, modulation, first, normal, room, target);
            };
        let (key, value) = (&self.key, &self.value);
        if let Some((stride, values_at)) = store.in_place() {
            project(key, &self.key_modulation, &mut *stored, stride);
            project(
                value,
                &self.value_modulation,
                &mut stored[values_at..],
                stride,
            );
            return;
        }
        let rows = key.output_rows();
        project(key, &self.key_modulation, &mut scratch.query, rows);
        let blocks = stored.chunks_exact_mut(store.rows());
        for (keys, block) in scratch.query.chunks_exact(rows).zip(blocks).take(count) {
            store.put_keys(tools, keys, block);
        }
        let rows = value.output_rows();
        project(value, &self.value_modulation, &mut scratch.query, rows);
        let blocks = stored.chunks_exact_mut(store.rows());
        for (values, block) in scratch.query.chunks_exact(rows).zip(blocks).take(count) {
            store.put_values(tools, values, block);
        }
    }
}
