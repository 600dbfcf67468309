//! Senders: from states to stored keys and values.

use super::store::Store;
use crate::engine::layer::{Modulation, Norm, Projection, Target, Tools};
use crate::engine::simd::Row;
use crate::engine::team::{Room, Scratch};

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

    /// Stores keys and values of block `block`, whose states are given.
    pub(crate) fn put(
        &self,
        tools: &Tools,
        block: usize,
        states: &[Row],
        stored: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let normal = &mut scratch.normal[..states.len()];
        self.norm.apply(tools, states, normal);
        let room = &mut scratch.operand;
        let mut project = |projection: &Projection, modulation: &Modulation, y: &mut [Row]| {
            let target = Target::overwrite(y);
            projection.apply(tools, modulation, block, normal, room, target);
        };
        match self.store.keys_in(stored) {
            Some(keys) => project(&self.key, &self.key_modulation, keys),
            None => {
                let keys = &mut scratch.query[..self.key.output_rows()];
                project(&self.key, &self.key_modulation, keys);
                self.store.put_keys(tools, keys, stored);
            }
        }
        match self.store.values_in(stored) {
            Some(values) => project(&self.value, &self.value_modulation, values),
            None => {
                let values = &mut scratch.query[..self.value.output_rows()];
                project(&self.value, &self.value_modulation, values);
                self.store.put_values(tools, values, stored);
            }
        }
    }
}
