//! Links between modules from their signatures.

use ndarray::{Array3, ArrayView3};

use super::SingleLayer;
use super::example::{expect, of};
use crate::attention::{factors, log_links};
use crate::error::Result;
use nac_core::model::KernelConfig;

impl SingleLayer<'_> {
    /// Logarithms of links, what attention adds to its scores. Tensor `bandwidth`.
    ///
    /// # Shapes
    /// - receivers: `[1 or batch, receivers, signature]`
    /// - senders: `[1 or batch, senders, signature]`
    /// - result: `[batch, receivers, senders]`
    ///
    /// # Errors
    /// The shapes do not fit, the setting needs noise, or the tensor is missing or has another shape.
    pub fn log_links(
        &self,
        config: &KernelConfig,
        receivers: ArrayView3<'_, f32>,
        senders: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        const OP: &str = "SingleLayer::log_links";
        let batch = receivers.dim().0.max(senders.dim().0);
        let (rows, columns) = (receivers.dim().1, senders.dim().1);
        expect(OP, "receivers", receivers, &[1, batch], rows)?;
        expect(OP, "senders", senders, &[1, batch], columns)?;
        let bandwidth = self.built(|scope| scope.scalar("bandwidth"))?;
        let mut links = Array3::zeros((batch, rows, columns));
        for (example, mut links) in links.outer_iter_mut().enumerate() {
            let (receivers, senders) = (of(&receivers, example), of(&senders, example));
            links.assign(&log_links(config, bandwidth, receivers, senders)?);
        }
        Ok(links)
    }

    /// Links between 0 and 1, what attention multiplies its weights by, from their logarithms; divided by their sum over
    /// senders if `normalize`.
    ///
    /// # Shapes
    /// - log_links: `[batch, receivers, senders]`
    /// - result: `[batch, receivers, senders]`
    #[must_use]
    pub fn links(log_links: ArrayView3<'_, f32>, normalize: bool) -> Array3<f32> {
        let mut links = log_links.to_owned();
        for mut links in links.outer_iter_mut() {
            let of_example = factors(&links.to_owned(), normalize);
            links.assign(&of_example);
        }
        links
    }
}
