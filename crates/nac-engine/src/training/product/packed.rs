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

/// A weight `[outputs, inputs]` as the right operand of products, in memory that `Compute` lends.
#[derive(Debug)]
pub(crate) struct PackedWeight<'c> {
    compute: &'c Compute,
    /// What multiplies bfloat16 pairs, in mixed precision.
    unit: Option<Unit>,
    depth: usize,
    columns: usize,
    /// Panels of numbers, or of bfloat16 pairs where the processor multiplies them.
    memory: Buffer,
}

impl<'c> PackedWeight<'c> {
    /// `Wᵀ`, for `y = x Wᵀ`.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs]`
    pub(crate) fn forward(
        compute: &'c Compute,
        weight: &[f32],
        (outputs, inputs): (usize, usize),
    ) -> Self {
        debug_assert_eq!(weight.len(), outputs * inputs);
        let source = Source::Columns {
            data: weight,
            stride: inputs,
        };
        Self::pack(compute, source, (inputs, outputs))
    }

    /// `W`, for `dx = dy W`.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs]`
    pub(crate) fn backward(
        compute: &'c Compute,
        weight: &[f32],
        (outputs, inputs): (usize, usize),
    ) -> Self {
        debug_assert_eq!(weight.len(), outputs * inputs);
        let source = Source::Rows {
            data: weight,
            stride: inputs,
        };
        Self::pack(compute, source, (outputs, inputs))
    }

    fn pack(compute: &'c Compute, source: Source<'_>, (depth, columns): (usize, usize)) -> Self {
        let mixed = compute.precision() == TrainingPrecision::Mixed;
        let unit = if mixed { Unit::detect() } else { None };
        let mut packed = Self {
            compute,
            unit,
            depth,
            columns,
            memory: Buffer::default(),
        };
        packed.memory = compute.lend(packed.len());
        let (len, arch) = (packed.len(), compute.arch());
        let panels = packed.memory.take(len);
        if unit.is_some() {
            let panels: &mut [u32] = bytemuck::cast_slice_mut(panels);
            let parts = Chunks::new(panels, panel_len(depth));
            compute.each(columns.div_ceil(BLOCK), parts, |index, part, _| {
                arch.dispatch(PackPanel {
                    source,
                    depth,
                    columns,
                    first: index * BLOCK,
                    panel: part.into_slice(),
                });
            });
        } else {
            let width = layout(arch).0;
            let parts = Chunks::new(panels, width * depth);
            compute.each(columns.div_ceil(width), parts, |index, part, _| {
                arch.dispatch(Panels {
                    source,
                    depth,
                    columns,
                    first: index * width,
                    round: mixed,
                    panels: part.into_slice(),
                });
            });
        }
        packed
    }

    /// Numbers that panels take.
    fn len(&self) -> usize {
        match self.unit {
            Some(_) => self.columns.div_ceil(BLOCK) * panel_len(self.depth),
            None => packed_len(self.compute.arch(), self.depth, self.columns),
        }
    }

    /// `y = [y +] x B [+ bias]` for some rows, on the calling thread, where `B` is what was packed.
    ///
    /// # Shapes
    /// - x: `[rows, depth]`: inputs if `Wᵀ` was packed, outputs if `W` was
    /// - y: `[rows, columns]`
    pub(crate) fn product(
        &self,
        x: &[f32],
        y: &mut [f32],
        epilogue: Epilogue<'_>,
        scratch: &mut Buffer,
    ) {
        let Self { depth, columns, .. } = *self;
        let (arch, panels) = (self.compute.arch(), self.memory.numbers(self.len()));
        let rows = y.len() / columns;
        debug_assert_eq!((x.len(), y.len()), (rows * depth, rows * columns));
        if let Some(unit) = self.unit {
            let pairs = bytemuck::cast_slice_mut(scratch.take(rows_len(rows, depth)));
            arch.dispatch(PackLeft {
                source: Source::Columns {
                    data: x,
                    stride: depth,
                },
                rows,
                depth,
                pairs,
            });
            arch.dispatch(PairProduct {
                unit,
                a: pairs,
                b: bytemuck::cast_slice(panels),
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
        let x = match self.compute.precision() {
            TrainingPrecision::F32 => x,
            TrainingPrecision::Mixed => {
                let rounded = scratch.take(x.len());
                rounded.copy_from_slice(x);
                round_all(rounded);
                rounded
            }
        };
        arch.dispatch(Multiply {
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

impl Drop for PackedWeight<'_> {
    fn drop(&mut self) {
        self.compute.take_back(std::mem::take(&mut self.memory));
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
        // A larger weight before it: what is left over from it must not show.
        let larger = numbers(4 * weight.len(), 9);
        drop(PackedWeight::forward(
            &compute,
            &larger,
            (2 * outputs, 2 * inputs),
        ));
        let packed = PackedWeight::forward(&compute, &weight, (outputs, inputs));
        let packed_back = PackedWeight::backward(&compute, &weight, (outputs, inputs));
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
        packed.product(&x, &mut y, epilogue, &mut scratch);
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
        let epilogue = Epilogue { bias: None, add };
        packed_back.product(&dy, &mut dx, epilogue, &mut scratch);
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
        let packed = PackedWeight::forward(&compute, &weight, (outputs, inputs));
        let mut y = vec![0.0; rows * outputs];
        packed.product(&x, &mut y, Epilogue::default(), &mut Buffer::default());
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
