//! A weight `[outputs, inputs]`, packed for products with rows of activations and of their gradients.

use super::multiply::{Left, Multiply, Right, panel_layout};
use crate::training::compute::{Buffer, Chunks, Compute, TrainingPrecision};

/// What happens to the result of a product.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// One number per output that is added.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the result is added to what is there.
    pub(crate) add: bool,
}

/// A weight in the layouts that [`PackedWeight::forward`] and [`PackedWeight::backward`] read.
#[derive(Debug)]
pub(crate) struct PackedWeight {
    arch: pulp::Arch,
    precision: TrainingPrecision,
    outputs: usize,
    inputs: usize,
    /// Panels of `Wᵀ`, `[inputs, outputs]`.
    forward: Vec<f32>,
    /// Panels of `W`.
    backward: Vec<f32>,
}

impl PackedWeight {
    /// Nothing yet: to be packed before it is used.
    pub(crate) fn new(compute: &Compute) -> Self {
        Self {
            arch: compute.arch(),
            precision: compute.precision(),
            outputs: 0,
            inputs: 0,
            forward: Vec::new(),
            backward: Vec::new(),
        }
    }

    /// Replaces the weight; memory is reused.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs]`
    pub(crate) fn pack(
        &mut self,
        compute: &Compute,
        weight: &[f32],
        outputs: usize,
        inputs: usize,
    ) {
        debug_assert_eq!(weight.len(), outputs * inputs);
        (self.arch, self.precision) = (compute.arch(), compute.precision());
        (self.outputs, self.inputs) = (outputs, inputs);
        let value = |output: usize, input: usize| weight[output * inputs + input];
        let forward = |k, j| value(j, k);
        panels(compute, &mut self.forward, (inputs, outputs), forward);
        panels(compute, &mut self.backward, (outputs, inputs), value);
    }

    /// `y = [y +] x Wᵀ [+ bias]` for some rows, on the calling thread.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - y: `[rows, outputs]`
    pub(crate) fn forward(
        &self,
        x: &[f32],
        y: &mut [f32],
        epilogue: Epilogue<'_>,
        scratch: &mut Buffer,
    ) {
        let shape = (self.inputs, self.outputs);
        self.product(x, &self.forward, y, shape, epilogue, scratch);
    }

    /// `dx = [dx +] dy W` for some rows, on the calling thread.
    ///
    /// # Shapes
    /// - dy: `[rows, outputs]`
    /// - dx: `[rows, inputs]`
    pub(crate) fn backward(&self, dy: &[f32], dx: &mut [f32], add: bool, scratch: &mut Buffer) {
        let shape = (self.outputs, self.inputs);
        let epilogue = Epilogue { bias: None, add };
        self.product(dy, &self.backward, dx, shape, epilogue, scratch);
    }

    fn product(
        &self,
        x: &[f32],
        panels: &[f32],
        y: &mut [f32],
        (depth, columns): (usize, usize),
        epilogue: Epilogue<'_>,
        scratch: &mut Buffer,
    ) {
        let rows = x.len() / depth;
        debug_assert_eq!(x.len(), rows * depth);
        debug_assert_eq!(y.len(), rows * columns);
        let x = match self.precision {
            TrainingPrecision::F32 => x,
            TrainingPrecision::Mixed => {
                let rounded = scratch.take(x.len());
                for (to, x) in rounded.iter_mut().zip(x) {
                    *to = round(*x);
                }
                rounded
            }
        };
        self.arch.dispatch(Multiply {
            a: Left::Rows {
                data: x,
                stride: depth,
            },
            b: Right::Panels { data: panels },
            c: y,
            c_stride: columns,
            rows,
            columns,
            depth,
            add: epilogue.add,
            bias: epilogue.bias,
        });
    }
}

/// The nearest bfloat16.
pub(super) fn round(x: f32) -> f32 {
    half::bf16::from_f32(x).to_f32()
}

/// Packs a matrix `[depth, columns]` into panels; the columns of the last are padded with zeros to whole vectors.
fn panels(
    compute: &Compute,
    panels: &mut Vec<f32>,
    (depth, columns): (usize, usize),
    value: impl Fn(usize, usize) -> f32 + Sync,
) {
    let (width, lanes) = panel_layout(compute.arch());
    panels.resize(columns.next_multiple_of(lanes) * depth, 0.0);
    let mixed = compute.precision() == TrainingPrecision::Mixed;
    let parts = Chunks::new(panels, width * depth);
    compute.each(columns.div_ceil(width), parts, |index, part, _| {
        let first = index * width;
        let part = part.into_slice();
        let stride = part.len() / depth;
        for (k, row) in part.chunks_exact_mut(stride).enumerate() {
            for (j, to) in row.iter_mut().enumerate() {
                let column = first + j;
                let value = if column < columns {
                    value(k, column)
                } else {
                    0.0
                };
                *to = if mixed { round(value) } else { value };
            }
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::reference::{assert_close, numbers, product, rounded};
    use super::*;

    fn check(
        precision: TrainingPrecision,
        (rows, outputs, inputs): (usize, usize, usize),
        add: bool,
    ) {
        let compute = Compute::new(2, precision).unwrap();
        let [weight, x, dy] = [
            (outputs * inputs, 1),
            (rows * inputs, 2),
            (rows * outputs, 3),
        ]
        .map(|(len, seed)| numbers(len, seed));
        let bias = numbers(outputs, 4);
        let mut packed = PackedWeight::new(&compute);
        // A larger weight before it: what is left over from it must not show.
        packed.pack(
            &compute,
            &numbers(4 * weight.len(), 9),
            2 * outputs,
            2 * inputs,
        );
        packed.pack(&compute, &weight, outputs, inputs);
        let [w, a, b] = match precision {
            TrainingPrecision::F32 => [weight, x.clone(), dy.clone()],
            TrainingPrecision::Mixed => [rounded(&weight), rounded(&x), rounded(&dy)],
        };
        let start = f32::from(u8::from(add)) * 0.5;
        let mut scratch = Buffer::default();

        let mut y = vec![0.5; rows * outputs];
        let epilogue = Epilogue {
            bias: Some(&bias),
            add,
        };
        packed.forward(&x, &mut y, epilogue, &mut scratch);
        let mut expected = product(
            (rows, outputs, inputs),
            |i, k| a[i * inputs + k],
            |k, j| w[j * inputs + k],
        );
        for (index, (value, magnitude)) in expected.iter_mut().enumerate() {
            *value += f64::from(start + bias[index % outputs]);
            *magnitude += 1.5;
        }
        assert_close(&y, &expected, 1e-6);

        let mut dx = vec![0.5; rows * inputs];
        packed.backward(&dy, &mut dx, add, &mut scratch);
        let mut expected = product(
            (rows, inputs, outputs),
            |i, k| b[i * outputs + k],
            |k, j| w[k * inputs + j],
        );
        for (value, magnitude) in &mut expected {
            *value += f64::from(start);
            *magnitude += 0.5;
        }
        assert_close(&dx, &expected, 1e-6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn agrees_with_double_precision_of_the_same_operands(
            rows in 1_usize..70, outputs in 1_usize..150, inputs in 1_usize..150, add: bool, mixed: bool,
        ) {
            let precision = if mixed { TrainingPrecision::Mixed } else { TrainingPrecision::F32 };
            check(precision, (rows, outputs, inputs), add);
        }
    }

    #[test]
    fn sums_longer_than_a_block() {
        for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
            check(precision, (37, 70, 1030), false);
            check(precision, (8, 520, 33), true);
        }
    }

    /// Each factor has a relative error of at most 2⁻⁹, so each product one of 2⁻⁸ and a little.
    #[test]
    fn mixed_precision_is_within_a_256th_of_the_sum_of_magnitudes() {
        let (rows, outputs, inputs) = (24, 96, 384);
        let [weight, x] =
            [(outputs * inputs, 1), (rows * inputs, 2)].map(|(len, seed)| numbers(len, seed));
        let compute = Compute::new(1, TrainingPrecision::Mixed).unwrap();
        let mut packed = PackedWeight::new(&compute);
        packed.pack(&compute, &weight, outputs, inputs);
        let mut y = vec![0.0; rows * outputs];
        packed.forward(&x, &mut y, Epilogue::default(), &mut Buffer::default());
        let expected = product(
            (rows, outputs, inputs),
            |i, k| x[i * inputs + k],
            |k, j| weight[j * inputs + k],
        );
        assert_close(&y, &expected, 1.01 / 256.0);
        // Errors have either sign, so those of a sum are far smaller; but they are there.
        let squares =
            |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let error = squares(
            &mut y
                .iter()
                .zip(&expected)
                .map(|(y, (value, _))| f64::from(*y) - value),
        ) / squares(&mut expected.iter().map(|(value, _)| *value));
        assert!((5e-4..4e-3).contains(&error), "{error}");
    }
}
