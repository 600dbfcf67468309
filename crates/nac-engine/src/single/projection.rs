//! A projection: ModFC, WModFC or FC.

use ndarray::{Array3, ArrayView3};

use super::SingleLayer;
use super::example::{expect, expect_features, of};
use crate::blocks::{Blocks, Layout, to_items};
use crate::error::Result;
use crate::layer::{Projection, Target};
use crate::simd::Row;
use nac_core::model::spec::ProjectionSpec;

const OP: &str = "SingleLayer::projection";

impl SingleLayer<'_> {
    /// A projection of each module's features, modulated by its code.
    ///
    /// Tensors: of ModFC `native_weight`, `native_bias`, `scale.weight`, `scale_gain`; of FC `lin.weight`, `lin.bias`;
    /// of WModFC `weight`, `bias`, `modulation.weight`, `modulation.bias`.
    ///
    /// # Shapes
    /// - x: `[batch, modules, in]`
    /// - codes: `[1, modules, code]` or `[batch, modules, code]`
    /// - result: `[batch, modules, outputs]`
    ///
    /// # Errors
    /// The shapes do not fit, or a tensor is missing, has another shape or is not used.
    pub fn projection(
        &self,
        spec: &ProjectionSpec,
        x: ArrayView3<'_, f32>,
        codes: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let (batch, modules, _) = x.dim();
        expect(OP, "x", x, &[batch], modules)?;
        expect(OP, "codes", codes, &[1, batch], modules)?;
        expect_features(OP, "x", x, spec.input)?;
        expect_features(OP, "codes", codes, spec.code)?;
        let backend = self.backend();
        let layouts = (Layout::plain(spec.input), Layout::plain(spec.output));
        let rows = layouts.1.rows();
        let shape = (batch, modules, spec.output);
        self.each_example(
            shape,
            codes.dim().0 == 1,
            |scope, example| {
                let layer = Projection::load(scope, spec, layouts, self.precision)?;
                let modulation = layer.modulation(of(&codes, example));
                Ok((layer, modulation))
            },
            |(layer, modulation), example, out| {
                let x = Blocks::from_items(of(&x, example), layouts.0);
                let mut buffer = vec![Row::ZERO; layer.input_rows()];
                let mut y = vec![Row::ZERO; rows * x.count()];
                for (block, y) in y.chunks_exact_mut(rows).enumerate() {
                    let target = Target::overwrite(y, rows);
                    layer.apply(
                        &backend,
                        modulation,
                        block,
                        x.block(block),
                        &mut buffer,
                        target,
                    );
                }
                to_items(&y, rows, out);
            },
        )
    }
}
