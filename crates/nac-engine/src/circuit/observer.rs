//! Observers of a pass: intermediate states by name.

use std::collections::BTreeMap;

use ndarray::Array3;

use crate::blocks::to_items;
use crate::simd::{Row, WIDTH};

/// Called with the name, the blocks of all examples, the number of items and the rows of a block, for the states that
/// [`crate::CoreEngine::infer_with_states`] documents.
pub(crate) type Observer<'a> = &'a mut (dyn FnMut(&str, &[Row], usize, usize) + Send);

/// States by name, each `[examples, modules, features]`.
pub type States = BTreeMap<String, Array3<f32>>;

/// An observer that collects all states; `width` gives the number of features of each.
pub(crate) fn collect_states(
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
