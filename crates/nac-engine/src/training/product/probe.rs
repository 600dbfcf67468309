//! The three products of a linear layer's training step on their own, for benchmarks.

use super::packed::{Epilogue, PackedWeight};
use super::weight_gradient::weight_gradient;
use crate::training::compute::{Chunks, Compute};

/// Rows of one call of a kernel.
const ROWS: usize = 160;

/// A linear layer without bias on rows of made-up numbers.
///
/// ```
/// use nac_engine::training::{Compute, ProductProbe, TrainingPrecision};
///
/// let compute = Compute::new(1, TrainingPrecision::F32)?;
/// let mut probe = ProductProbe::new(96, 64, 128);
/// probe.forward(&compute);
/// probe.backward(&compute);
/// probe.weight_gradient(&compute);
/// assert_eq!(probe.operations(), 2.0 * 96.0 * 64.0 * 128.0);
/// # Ok::<(), nac_engine::EngineError>(())
/// ```
#[derive(Debug)]
pub struct ProductProbe {
    /// Rows, inputs, outputs.
    shape: (usize, usize, usize),
    weight: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
}

impl ProductProbe {
    /// A layer of `inputs` → `outputs` features on `rows` rows, all positive.
    #[must_use]
    pub fn new(rows: usize, inputs: usize, outputs: usize) -> Self {
        let numbers = |len| (0..len).map(|i| (i as f32).sin()).collect();
        Self {
            shape: (rows, inputs, outputs),
            weight: numbers(inputs * outputs),
            x: numbers(rows * inputs),
            y: numbers(rows * outputs),
        }
    }

    /// Floating-point operations of one product.
    #[must_use]
    pub fn operations(&self) -> f64 {
        let (rows, inputs, outputs) = self.shape;
        2.0 * rows as f64 * inputs as f64 * outputs as f64
    }

    /// Packs the weight for [`ProductProbe::forward`], which does it as well.
    pub fn pack(&mut self, compute: &Compute) {
        let (_, inputs, outputs) = self.shape;
        drop(PackedWeight::forward(
            compute,
            &self.weight,
            (outputs, inputs),
        ));
    }

    /// `y = x Wᵀ`, with packing the weight.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - y: `[rows, outputs]`
    pub fn forward(&mut self, compute: &Compute) {
        let ((rows, inputs, outputs), x) = (self.shape, &self.x);
        let packed = PackedWeight::forward(compute, &self.weight, (outputs, inputs));
        let parts = Chunks::new(&mut self.y, ROWS * outputs);
        compute.each(rows.div_ceil(ROWS), parts, |index, y, scratch| {
            let y = y.into_slice();
            let x = &x[index * ROWS * inputs..][..y.len() / outputs * inputs];
            packed.product(x, y, Epilogue::default(), &mut scratch.product);
        });
    }

    /// `dx = dy W`, with packing the weight, with the result of [`ProductProbe::forward`] as `dy` and `x` as `dx`.
    pub fn backward(&mut self, compute: &Compute) {
        let ((rows, inputs, outputs), y) = (self.shape, &self.y);
        let packed = PackedWeight::backward(compute, &self.weight, (outputs, inputs));
        let parts = Chunks::new(&mut self.x, ROWS * inputs);
        compute.each(rows.div_ceil(ROWS), parts, |index, x, scratch| {
            let x = x.into_slice();
            let y = &y[index * ROWS * outputs..][..x.len() / inputs * outputs];
            packed.product(y, x, Epilogue::default(), &mut scratch.product);
        });
    }

    /// `dw = dyᵀ x`, in place of the weight.
    pub fn weight_gradient(&mut self, compute: &Compute) {
        let (rows, inputs, outputs) = self.shape;
        let shape = (rows, outputs, inputs);
        weight_gradient(compute, &self.y, &self.x, shape, &mut self.weight);
    }
}
