//! Layer norm and products feature by feature: each item of a block has its own mean, variance and factor.

use pulp::{Simd, WithSimd};

use super::row::{PairRow, Row, WIDTH};

/// `y = (x − mean) / sqrt(var + ε) · gain + bias` over the first `features` rows; the others become zero.
pub(crate) struct Normalize<'a> {
    /// `[features, padded]` of a block.
    pub(crate) x: &'a [Row],
    pub(crate) y: &'a mut [Row],
    /// One per feature, none for one.
    pub(crate) gain: Option<&'a [f32]>,
    /// One per feature, none for zero.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) features: usize,
    pub(crate) epsilon: f32,
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => normalize::<S, 2>(simd, self),
            8 => normalize::<S, 4>(simd, self),
            4 => normalize::<S, 8>(simd, self),
            _ => normalize::<S, WIDTH>(simd, self),
        }
    }
}

#[inline(always)]
fn normalize<S: Simd, const VECTORS: usize>(simd: S, op: Normalize<'_>) {
    let x = &op.x[..op.features];
    let per_feature = simd.splat_f32s(1.0 / op.features as f32);
    let zero = simd.splat_f32s(0.0);
    let mut mean = [zero; VECTORS];
    for row in x {
        let row = S::as_simd_f32s(&row.0).0;
        for j in 0..VECTORS {
            mean[j] = simd.add_f32s(mean[j], row[j]);
        }
    }
    for sum in &mut mean {
        *sum = simd.mul_f32s(*sum, per_feature);
    }
    let mut scale = [zero; VECTORS];
    for row in x {
        let row = S::as_simd_f32s(&row.0).0;
        for j in 0..VECTORS {
            let off = simd.sub_f32s(row[j], mean[j]);
            scale[j] = simd.mul_add_f32s(off, off, scale[j]);
        }
    }
    let (epsilon, one) = (simd.splat_f32s(op.epsilon), simd.splat_f32s(1.0));
    for sum in &mut scale {
        let variance = simd.mul_add_f32s(*sum, per_feature, epsilon);
        *sum = simd.div_f32s(one, simd.sqrt_f32s(variance));
    }
    let value = |of: Option<&[f32]>, i: usize, otherwise: f32| of.map_or(otherwise, |of| of[i]);
    for (i, (row, y)) in x.iter().zip(&mut *op.y).enumerate() {
        let row = S::as_simd_f32s(&row.0).0;
        let y = S::as_mut_simd_f32s(&mut y.0).0;
        let gain = simd.splat_f32s(value(op.gain, i, 1.0));
        let bias = simd.splat_f32s(value(op.bias, i, 0.0));
        for j in 0..VECTORS {
            let normal = simd.mul_f32s(simd.sub_f32s(row[j], mean[j]), scale[j]);
            y[j] = simd.mul_add_f32s(normal, gain, bias);
        }
    }
    for y in &mut op.y[op.features..] {
        *y = Row::ZERO;
    }
}

/// `y = x · factor`, row by row.
pub(crate) struct Multiply<'a> {
    pub(crate) x: &'a [Row],
    pub(crate) factor: &'a [Row],
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for ((x, factor), y) in self.x.iter().zip(self.factor).zip(self.y) {
            let (x, factor) = (S::as_simd_f32s(&x.0).0, S::as_simd_f32s(&factor.0).0);
            for ((x, factor), y) in x.iter().zip(factor).zip(S::as_mut_simd_f32s(&mut y.0).0) {
                *y = simd.mul_f32s(*x, *factor);
            }
        }
    }
}

/// Two rows after the other become pairs of bfloat16, times a factor if there is one.
pub(crate) struct Pair<'a> {
    /// An even number of rows.
    pub(crate) x: &'a [Row],
    pub(crate) factor: Option<&'a [Row]>,
    pub(crate) y: &'a mut [PairRow],
}

impl WithSimd for Pair<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (i, (x, y)) in self.x.chunks_exact(2).zip(self.y).enumerate() {
            let (low, high) = (S::as_simd_f32s(&x[0].0).0, S::as_simd_f32s(&x[1].0).0);
            let y = S::as_mut_simd_u32s(&mut y.0).0;
            let factor = self.factor.map(|factor| {
                (
                    S::as_simd_f32s(&factor[2 * i].0).0,
                    S::as_simd_f32s(&factor[2 * i + 1].0).0,
                )
            });
            for (j, y) in y.iter_mut().enumerate() {
                let (low, high) = match factor {
                    Some((l, h)) => (simd.mul_f32s(low[j], l[j]), simd.mul_f32s(high[j], h[j])),
                    None => (low[j], high[j]),
                };
                *y = pair(simd, low, high);
            }
        }
    }
}

/// Both numbers rounded to bfloat16 (to the nearest, ties to even), the first in the low half.
#[inline(always)]
pub(crate) fn pair<S: Simd>(simd: S, low: S::f32s, high: S::f32s) -> S::u32s {
    let sixteen = simd.splat_u32s(16);
    let round = |x: S::f32s| {
        let bits = simd.transmute_u32s_f32s(x);
        let last = simd.and_u32s(
            simd.wrapping_dyn_shr_u32s(bits, sixteen),
            simd.splat_u32s(1),
        );
        simd.add_u32s(bits, simd.add_u32s(last, simd.splat_u32s(0x7fff)))
    };
    let low = simd.wrapping_dyn_shr_u32s(round(low), sixteen);
    let high = simd.and_u32s(round(high), simd.splat_u32s(0xffff_0000));
    simd.or_u32s(low, high)
}
