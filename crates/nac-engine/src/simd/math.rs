//! Powers of two and exact GELU on vectors.
//!
//! `2ˣ`: `x = n + r` with `|r| ≤ ½`, a polynomial of degree 6 fitted to `2ʳ` with Chebyshev's nodes, then `2ⁿ` through the
//! exponent's bits. Relative error below 2.4e-7; below −126 it is cut off at `2⁻¹²⁶`, which is zero for every use here.
//! Softmax takes powers of two, its scores being multiplied by `log₂ e` beforehand.
//!
//! `GELU(x) = x/2 · (1 + erf(x/√2))`. With `t = |x|/√2`, `erf(t) = 1 − 2^(−t·Q(t))` where `Q`, a polynomial of degree
//! 10, was fitted to `−log₂(erfc t)/t` on `[0, 5]` with Chebyshev's nodes; beyond 5 `erfc` is below 2e-12. Absolute error
//! of `erf` below 1e-7.

use pulp::Simd;

/// Adding and taking away 1.5 · 2²³ rounds to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;
/// `2ʳ` on `[−½, ½]`, highest degree first.
const POWER: [f32; 7] = [
    1.546_144_5e-4,
    1.340_042_8e-3,
    9.618_057e-3,
    5.550_327e-2,
    2.402_265e-1,
    6.931_472e-1,
    1.0,
];
/// `Q` on `[0, 5]`, highest degree first.
const ERFC: [f32; 11] = [
    -6.997_241_5e-8,
    2.069_639e-6,
    -2.679_351_7e-5,
    1.977_468_8e-4,
    -8.902_211e-4,
    2.210_427_3e-3,
    1.073_601_9e-4,
    -2.790_092_5e-2,
    1.483_750_2e-1,
    9.184_345_6e-1,
    1.627_907_3,
];

/// `2ˣ` for `x` up to 127.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(-126.0));
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, round));
    let power = polynomial(simd, &POWER, r);
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let scaled = simd.add_u32s(simd.transmute_u32s_f32s(power), exponent);
    simd.transmute_f32s_u32s(scaled)
}

/// `x/2 · (1 + erf(x/√2))`.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let scale = simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2);
    let t = simd.mul_f32s(simd.abs_f32s(x), scale);
    let t = simd.min_f32s(t, simd.splat_f32s(5.0));
    let q = polynomial(simd, &ERFC, t);
    let erfc = exp2(simd, simd.neg_f32s(simd.mul_f32s(q, t)));
    // x/2 · (1 + erf(x/√2)) = max(x, 0) − |x|/2 · erfc(|x|/√2)
    let half = simd.mul_f32s(simd.abs_f32s(x), simd.splat_f32s(-0.5));
    simd.mul_add_f32s(half, erfc, simd.max_f32s(x, simd.splat_f32s(0.0)))
}

#[inline(always)]
fn polynomial<S: Simd>(simd: S, coefficients: &[f32], x: S::f32s) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Map<'a>(&'a mut [f32], bool);

    impl WithSimd for Map<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(values, is_gelu) = self;
            for value in S::as_mut_simd_f32s(values).0 {
                *value = if is_gelu {
                    gelu(simd, *value)
                } else {
                    exp2(simd, *value)
                };
            }
        }
    }

    fn grid(from: f32, to: f32) -> Vec<f32> {
        let count = 16_384;
        (0..count)
            .map(|i| from + (to - from) * i as f32 / (count - 1) as f32)
            .collect()
    }

    #[test]
    fn powers_of_two_are_those_of_f64() {
        let x = grid(-125.9, 127.0);
        let mut y = x.clone();
        Arch::new().dispatch(Map(&mut y, false));
        for (x, y) in x.iter().zip(&y) {
            let slow = f64::from(*x).exp2();
            assert!(
                (f64::from(*y) / slow - 1.0).abs() < 2.4e-7,
                "{x}: {y} {slow}"
            );
        }
        let mut far = [-1000.0_f32; 16];
        far[1] = f32::NEG_INFINITY;
        Arch::new().dispatch(Map(&mut far, false));
        assert!(far.iter().all(|y| (0.0..1.2e-38).contains(y)), "{far:?}");
    }

    /// `erf` by its series, or by a continued fraction where the series would lose digits.
    fn erf(x: f64) -> f64 {
        let t = x.abs();
        let value = if t < 3.0 {
            let (mut term, mut sum) = (t, t);
            for n in 1..200 {
                term *= -t * t / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let fraction = (1..60).rev().fold(t, |sum, n| t + f64::from(n) / 2.0 / sum);
            1.0 - (-t * t).exp() / fraction / std::f64::consts::PI.sqrt()
        };
        value.copysign(x)
    }

    #[test]
    fn gelu_is_its_definition() {
        assert!((erf(1.0) - 0.842_700_792_949_714_9).abs() < 1e-14);
        assert!((erf(3.5) - 0.999_999_256_901_627_7).abs() < 1e-14);
        let x = grid(-12.0, 12.0);
        let mut y = x.clone();
        Arch::new().dispatch(Map(&mut y, true));
        for (x, y) in x.iter().zip(&y) {
            let z = f64::from(*x);
            let slow = z / 2.0 * (1.0 + erf(z / std::f64::consts::SQRT_2));
            let error = (f64::from(*y) - slow).abs();
            assert!(error < 1.5e-7 * z.abs().max(1e-3), "{x}: {y} {slow}");
        }
    }
}
