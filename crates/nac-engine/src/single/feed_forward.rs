//! The feed-forward block of a circuit's layers.

use ndarray::{Array3, ArrayView3};

use super::SingleLayer;
use super::example::{expect, expect_features, in_place, of};
use crate::error::Result;
use crate::layer::FeedForward;
use crate::scratch::Scratch;
use nac_core::model::spec::ModFfnSpec;

const OP: &str = "SingleLayer::feed_forward";

impl SingleLayer<'_> {
    /// A ModFFN. Tensors `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`.
    ///
    /// # Shapes
    /// - states: `[batch, modules, state]`
    /// - codes: `[1, modules, code]` or `[batch, modules, code]`
    /// - result: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit, a setting is out of range, or a tensor is missing, has another shape or is not used.
    pub fn feed_forward(
        &self,
        spec: &ModFfnSpec,
        states: ArrayView3<'_, f32>,
        codes: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let (batch, modules, _) = states.dim();
        expect(OP, "states", states, &[batch], modules)?;
        expect(OP, "codes", codes, &[1, batch], modules)?;
        expect_features(OP, "states", states, spec.norm.dim)?;
        expect_features(OP, "codes", codes, spec.expand.code)?;
        let backend = self.backend();
        self.each_example(
            states.dim(),
            codes.dim().0 == 1,
            |scope, example| {
                let codes = of(&codes, example);
                FeedForward::modulated(scope, spec, codes, self.precision)
            },
            |layer, example, out| {
                let mut scratch = Scratch::new(layer.scratch_size());
                in_place(of(&states, example), out, |block, states| {
                    layer.apply(&backend, block, states, &mut scratch);
                });
            },
        )
    }
}
