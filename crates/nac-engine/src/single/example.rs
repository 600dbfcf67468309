//! Examples one by one: views of arrays, checks of shapes, and blocks in and out.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis};

use super::SingleLayer;
use crate::blocks::{Blocks, Layout, to_items};
use crate::error::{EngineError, Result};
use crate::simd::Row;
use crate::weights::{WeightScope, WeightSource};

/// Modules as layers between modules see them.
#[derive(Debug, Clone, Copy)]
pub struct ModuleArrays<'a> {
    /// `[batch, modules, state]`.
    pub states: ArrayView3<'a, f32>,
    /// `[1, modules, signature]` for all examples, or `[batch, modules, signature]`.
    pub signatures: ArrayView3<'a, f32>,
    /// `[1, modules, code]` for all examples, or `[batch, modules, code]`.
    pub codes: ArrayView3<'a, f32>,
}

impl ModuleArrays<'_> {
    /// An error unless the arrays belong together.
    pub(super) fn check(&self, op: &'static str, batch: usize) -> Result<()> {
        let modules = self.states.dim().1;
        expect(op, "states", self.states, &[batch], modules)?;
        expect(op, "signatures", self.signatures, &[1, batch], modules)?;
        expect(op, "codes", self.codes, &[1, batch], modules)
    }

    /// Whether all examples have the same signatures and codes.
    pub(super) fn are_shared(&self) -> bool {
        self.signatures.dim().0 == 1 && self.codes.dim().0 == 1
    }
}

/// An error unless there is one array for each example, or one for all where `batches` holds 1, of `modules` items.
pub(super) fn expect(
    op: &'static str,
    name: &str,
    array: ArrayView3<'_, f32>,
    batches: &[usize],
    modules: usize,
) -> Result<()> {
    let (batch, items, features) = array.dim();
    if batches.contains(&batch) && items == modules && items > 0 && features > 0 {
        return Ok(());
    }
    let batches: Vec<String> = batches.iter().map(usize::to_string).collect();
    Err(EngineError::Input {
        op,
        expected: format!("`{name}` [{}, {modules}, 1..]", batches.join(" or ")),
        found: format!("`{name}` {:?}", array.shape()),
    })
}

/// An error unless items have `features` features.
pub(super) fn expect_features(
    op: &'static str,
    name: &str,
    array: ArrayView3<'_, f32>,
    features: usize,
) -> Result<()> {
    if array.dim().2 == features {
        return Ok(());
    }
    Err(EngineError::Input {
        op,
        expected: format!("`{name}` of {features} features"),
        found: format!("`{name}` {:?}", array.shape()),
    })
}

/// What example `example` has of an array of one for all or one for each.
pub(super) fn of<'a>(array: &ArrayView3<'a, f32>, example: usize) -> ArrayView2<'a, f32> {
    let index = if array.dim().0 == 1 { 0 } else { example };
    array.index_axis_move(Axis(0), index)
}

/// Changes each block of items, `[items, features]`, and writes them to `out`.
pub(super) fn in_place(
    items: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
    mut change: impl FnMut(usize, &mut [Row]),
) {
    let mut blocks = Blocks::from_items(items, Layout::plain(items.ncols()));
    for block in 0..blocks.count() {
        change(block, blocks.block_mut(block));
    }
    to_items(blocks.all(), blocks.rows(), out);
}

impl SingleLayer<'_> {
    /// Builds a layer for each example that differs from the others, `build(scope, example)`, and runs it,
    /// `run(layer, example, out)`.
    pub(super) fn each_example<L>(
        &self,
        shape: (usize, usize, usize),
        shared: bool,
        build: impl Fn(&WeightScope<'_, '_>, usize) -> Result<L>,
        mut run: impl FnMut(&L, usize, ArrayViewMut2<'_, f32>),
    ) -> Result<Array3<f32>> {
        let mut out = Array3::zeros(shape);
        let mut layer = None;
        for (example, out) in out.outer_iter_mut().enumerate() {
            let ready = match layer.take().filter(|_| shared) {
                Some(layer) => layer,
                None => self.built(|scope| build(scope, example))?,
            };
            run(&ready, example, out);
            layer = Some(ready);
        }
        Ok(out)
    }

    /// What `build` makes of the tensors, all of which it must use.
    pub(super) fn built<L>(
        &self,
        build: impl FnOnce(&WeightScope<'_, '_>) -> Result<L>,
    ) -> Result<L> {
        let source = WeightSource::given(self.weights);
        let layer = build(&WeightScope::root(&source))?;
        source.all_read()?;
        Ok(layer)
    }
}
