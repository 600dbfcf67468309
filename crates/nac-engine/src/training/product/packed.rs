//! A weight `[outputs, inputs]`, packed for products with rows of activations and of their gradients.

use super::bf16::{BLOCK, PackLeft, PackPanel, PairProduct, Unit, panel_len, rows_len};
use super::multiply::{Left, Multiply, Right};
use super::panels::{Panels, Source, layout, packed_len};
use super::round::round_all;
use crate::training::compute::{Buffer, Chunks, Compute, TrainingPrecision};

/// What happens to the result of a product.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// One number per output that is added.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the result is added to what is there.
    pub(crate) add: bool,
}

/// A matrix `[depth, columns]`, the right operand of products.
#[derive(Debug, Default)]
struct Packed {
    depth: usize,
    columns: usize,
    /// Panels, in single precision.
    panels: Vec<f32>,
    /// Panels of bfloat16 pairs, where the processor multiplies them.
    pairs: Vec<u32>,
}

/// A weight in the layouts that [`PackedWeight::forward`] and [`PackedWeight::backward`] read.
#[derive(Debug)]
pub(crate) struct PackedWeight {
    arch: pulp::Arch,
    precision: TrainingPrecision,
    /// What multiplies bfloat16 pairs, in mixed precision.
    unit: Option<Unit>,
    /// `Wᵀ`.
    forward: Packed,
    /// `W`.
    backward: Packed,
}

impl PackedWeight {
    /// Nothing yet: to be packed before it is used.
    pub(crate) fn new(compute: &Compute) -> Self {
        Self {
            arch: compute.arch(),
            precision: compute.precision(),
            unit: None,
            forward: Packed::default(),
            backward: Packed::default(),
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
        let mixed = self.precision == TrainingPrecision::Mixed;
        self.unit = if mixed { Unit::detect() } else { None };
        let columns = Source::Columns {
            data: weight,
            stride: inputs,
        };
        let rows = Source::Rows {
            data: weight,
            stride: inputs,
        };
        let both = [
            (&mut self.forward, columns, (inputs, outputs)),
            (&mut self.backward, rows, (outputs, inputs)),
        ];
        for (packed, source, (depth, columns)) in both {
            (packed.depth, packed.columns) = (depth, columns);
            match self.unit {
                Some(_) => packed.pack_pairs(compute, source),
                None => packed.pack(compute, source, mixed),
            }
        }
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
        self.product(x, &self.forward, y, epilogue, scratch);
    }

    /// `dx = [dx +] dy W` for some rows, on the calling thread.
    ///
    /// # Shapes
    /// - dy: `[rows, outputs]`
    /// - dx: `[rows, inputs]`
    pub(crate) fn backward(&self, dy: &[f32], dx: &mut [f32], add: bool, scratch: &mut Buffer) {
        let epilogue = Epilogue { bias: None, add };
        self.product(dy, &self.backward, dx, epilogue, scratch);
    }

    fn product(
        &self,
        x: &[f32],
        weight: &Packed,
        y: &mut [f32],
        epilogue: Epilogue<'_>,
        scratch: &mut Buffer,
    ) {
        let Packed { depth, columns, .. } = *weight;
        let rows = y.len() / columns;
        debug_assert_eq!((x.len(), y.len()), (rows * depth, rows * columns));
        if let Some(unit) = self.unit {
            let pairs = bytemuck::cast_slice_mut(scratch.take(rows_len(rows, depth)));
            self.arch.dispatch(PackLeft {
                source: Source::Columns {
                    data: x,
                    stride: depth,
                },
                rows,
                depth,
                pairs,
            });
            self.arch.dispatch(PairProduct {
                unit,
                a: pairs,
                b: &weight.pairs,
                c: y,
                c_stride: columns,
                rows,
                columns,
                depth,
                add: epilogue.add,
                bias: epilogue.bias,
            });
            return;
        }
        let x = match self.precision {
            TrainingPrecision::F32 => x,
            TrainingPrecision::Mixed => {
                let rounded = scratch.take(x.len());
                rounded.copy_from_slice(x);
                round_all(rounded);
                rounded
            }
        };
        self.arch.dispatch(Multiply {
            a: Left::Rows {
                data: x,
                stride: depth,
            },
            b: Right::Panels {
                data: &weight.panels,
            },
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

impl Packed {
    fn pack(&mut self, compute: &Compute, source: Source<'_>, round: bool) {
        let (depth, columns, arch) = (self.depth, self.columns, compute.arch());
        let width = layout(arch).0;
        self.panels.resize(packed_len(arch, depth, columns), 0.0);
        let parts = Chunks::new(&mut self.panels, width * depth);
        compute.each(columns.div_ceil(width), parts, |index, part, _| {
            arch.dispatch(Panels {
                source,
                depth,
                columns,
                first: index * width,
                round,
                panels: part.into_slice(),
            });
        });
    }

    fn pack_pairs(&mut self, compute: &Compute, source: Source<'_>) {
        let (depth, columns, arch) = (self.depth, self.columns, compute.arch());
        let len = panel_len(depth);
        self.pairs.resize(columns.div_ceil(BLOCK) * len, 0);
        let parts = Chunks::new(&mut self.pairs, len);
        compute.each(columns.div_ceil(BLOCK), parts, |index, part, _| {
            arch.dispatch(PackPanel {
                source,
                depth,
                columns,
                first: index * BLOCK,
                panel: part.into_slice(),
            });
        });
    }
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

    /// Each factor has a relative error of at most 2⁻⁸, so each product one of 2⁻⁷ and a little.
    #[test]
    fn mixed_precision_is_within_a_128th_of_the_sum_of_magnitudes() {
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
        assert_close(&y, &expected, 1.01 / 128.0);
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
