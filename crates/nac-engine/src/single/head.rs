//! A head: from what the read-out gives to logits.

use ndarray::{Array2, ArrayView3};

use super::SingleLayer;
use super::example::{expect, expect_features, of};
use crate::blocks::resize;
use crate::blocks::{Blocks, Layout};
use crate::circuit::Head;
use crate::error::Result;
use crate::simd::{Row, WIDTH};
use nac_core::model::spec::HeadSpec;

impl SingleLayer<'_> {
    /// Logits of what the read-out modules give. Tensors `confidence_scorer` and `to_logits`, none for the first slot,
    /// whose outputs are the logits.
    ///
    /// # Shapes
    /// - outputs: `[batch, modules, features]`
    /// - result: `[batch, classes]`; for the first slot `[batch, features]`
    ///
    /// # Errors
    /// The shapes do not fit, the settings need noise, or a tensor is missing, has another shape or is not used.
    pub fn head(&self, spec: &HeadSpec, outputs: ArrayView3<'_, f32>) -> Result<Array2<f32>> {
        let (batch, modules, features) = outputs.dim();
        expect("SingleLayer::head", "outputs", outputs, &[batch], modules)?;
        if let HeadSpec::ConfidencePooling(spec) = spec {
            expect_features(
                "SingleLayer::head",
                "outputs",
                outputs,
                spec.to_logits.input,
            )?;
        }
        let backend = self.backend();
        let head = self.built(|scope| Head::load(scope, spec, &backend))?;
        let layout = Layout::plain(features);
        let (mut pooled, mut confidence, mut own) = (Vec::new(), Vec::new(), Vec::new());
        resize(&mut pooled, batch.div_ceil(WIDTH) * layout.rows());
        for example in 0..batch {
            let blocks = Blocks::from_items(of(&outputs, example), layout);
            let size = (modules, layout.rows());
            head.pool(blocks.all(), size, &mut pooled, example, &mut confidence);
        }
        let width = match spec {
            HeadSpec::ConfidencePooling(spec) => spec.to_logits.output,
            HeadSpec::FirstSlot => features,
        };
        let mut logits = Array2::zeros((batch, width));
        let mut buffer = vec![Row::ZERO; head.operand_rows()];
        let pooled = (&pooled[..], layout.rows());
        head.logits(&backend, pooled, &mut buffer, &mut own, logits.view_mut());
        Ok(logits)
    }
}
