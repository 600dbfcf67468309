//! A watcher of a run that keeps all states by name.

use std::collections::BTreeMap;

use ndarray::Array3;

use crate::blocks::to_items;
use crate::simd::{Row, WIDTH};

/// States by name, each `[examples, modules, features]`.
pub type States = BTreeMap<String, Array3<f32>>;

/// Collects states by name, `[examples, modules, features]`; `width` says how many features there are.
pub(crate) fn collect(
    states: &mut States,
    width: impl Fn(&str) -> usize + Send,
) -> impl FnMut(&str, &[Row], usize, usize) + Send {
    move |name, blocks, modules, rows| {
        let example = modules.div_ceil(WIDTH) * rows;
        let mut found = Array3::zeros((blocks.len() / example, modules, width(name)));
        for (blocks, items) in blocks.chunks_exact(example).zip(found.outer_iter_mut()) {
            to_items(blocks, rows, items);
        }
        states.insert(name.to_owned(), found);
    }
}
