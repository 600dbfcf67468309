//! From states of senders to stored keys and values.

use super::key_value_layout::KeyValueLayout;
use crate::backend::Backend;
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;

/// Stored keys and values of a set of senders, all blocks of one example.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyValues<'a> {
    pub(crate) stored: &'a [Row],
    pub(crate) layout: KeyValueLayout,
    pub(crate) items: usize,
    /// Which of the items count; all without a mask.
    pub(crate) mask: Option<&'a [bool]>,
}

/// Layer norm, key and value projection of one set of senders.
#[derive(Debug, Clone)]
pub(crate) struct KeyValueProjection {
    pub(crate) norm: Norm,
    pub(crate) key: Projection,
    pub(crate) value: Projection,
    pub(crate) key_modulation: Modulation,
    pub(crate) value_modulation: Modulation,
    pub(crate) layout: KeyValueLayout,
}

impl KeyValueProjection {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let rows = self.key.input_rows();
        ScratchSize {
            normal: rows,
            operand: rows,
            query: self.key.output_rows().max(self.value.output_rows()),
            ..ScratchSize::default()
        }
    }

    /// Stores keys and values of some blocks with these states; the first is block `first`.
    pub(crate) fn store(
        &self,
        backend: &Backend,
        first: usize,
        states: &[Row],
        stored: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let normal = &mut scratch.normal[..states.len()];
        self.norm.apply(backend, states, normal);
        let (layout, operand) = (self.layout, &mut scratch.operand);
        let count = states.len() / self.key.input_rows();
        let mut project =
            |projection: &Projection, modulation: &Modulation, y: &mut [Row], stride| {
                let target = Target::overwrite(y, stride);
                projection.apply(backend, modulation, first, normal, operand, target);
            };
        let (key, value) = (&self.key, &self.value);
        let (key_modulation, value_modulation) = (&self.key_modulation, &self.value_modulation);
        if let Some((stride, values_at)) = layout.in_place() {
            project(key, key_modulation, &mut *stored, stride);
            project(value, value_modulation, &mut stored[values_at..], stride);
            return;
        }
        let rows = key.output_rows();
        project(key, key_modulation, &mut scratch.query, rows);
        let blocks = stored.chunks_exact_mut(layout.rows());
        for (keys, block) in scratch.query.chunks_exact(rows).zip(blocks).take(count) {
            layout.store_keys(backend, keys, block);
        }
        let rows = value.output_rows();
        project(value, value_modulation, &mut scratch.query, rows);
        let blocks = stored.chunks_exact_mut(layout.rows());
        for (values, block) in scratch.query.chunks_exact(rows).zip(blocks).take(count) {
            layout.store_values(backend, values, block);
        }
    }
}
