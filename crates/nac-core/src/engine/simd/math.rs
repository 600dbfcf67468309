//! Exponential function and exact GELU on vectors.
//!
//! `exp`: `x = n·ln 2 + r` with `|r| ≤ ½ ln 2`, Taylor's polynomial of degree 7 in `r`, then `2ⁿ` through the
//! exponent's bits. Error at most 2 units in the last place between −87 and 88; below it is cut off at `e⁻⁸⁷`, which is
//! zero for every use here.
//!
//! `GELU(x) = x/2 · (1 + erf(x/√2))`. With `t = |x|/√2`, `erf(t) = 1 − exp(−t·Q(t))` where `Q`, a polynomial of degree
//! 10, was fitted to `−ln(erfc t)/t` on `[0, 5]` with Chebyshev's nodes; beyond 5 `erfc` is below 2e-12. Absolute error
//! of `erf` below 1e-7.

use pulp::Simd;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `ln 2` in two parts, the first with zeros at its end, so that `n` times it is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and taking away 1.5 · 2²³ rounds to a whole number, which then stands in the last bits.
const ROUND: f32 = 12_582_912.0;
/// `1/k!` from 7 down to 0.
const EXP: [f32; 8] = [
    1.0 / 5040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// Coefficients of `Q`, highest degree first.
const ERF: [f32; 11] = [
    -4.85011817e-08,
    1.43456452e-06,
    -1.85718509e-05,
    1.37067691e-04,
    -6.17054233e-04,
    1.53215136e-03,
    7.44164136e-05,
    -1.93394478e-02,
    1.02845728e-01,
    6.36610329e-01,
    1.12837934e+00,
];

/// `eˣ` for `x` up to 88.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(-87.0));
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.mul_add_f32s(x, simd.splat_f32s(LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN2_HIGH), x);
    let r = simd.mul_add_f32s(n, simd.splat_f32s(-LN2_LOW), r);
    let mut sum = simd.splat_f32s(EXP[0]);
    for coefficient in &EXP[1..] {
        sum = simd.mul_add_f32s(sum, r, simd.splat_f32s(*coefficient));
    }
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let scaled = simd.add_u32s(simd.transmute_u32s_f32s(sum), exponent);
    simd.transmute_f32s_u32s(scaled)
}

/// `x/2 · (1 + erf(x/√2))`.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let t = simd.mul_f32s(
        simd.abs_f32s(x),
        simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2),
    );
    let t = simd.min_f32s(t, simd.splat_f32s(5.0));
    let mut q = simd.splat_f32s(ERF[0]);
    for coefficient in &ERF[1..] {
        q = simd.mul_add_f32s(q, t, simd.splat_f32s(*coefficient));
    }
    let erfc = exp(simd, simd.neg_f32s(simd.mul_f32s(q, t)));
    // x/2 · (1 + erf) = max(x, 0) − |x|/2 · erfc(|x|/√2)
    let half = simd.mul_f32s(simd.abs_f32s(x), simd.splat_f32s(-0.5));
    simd.mul_add_f32s(half, erfc, simd.max_f32s(x, simd.splat_f32s(0.0)))
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
                    exp(simd, *value)
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
    fn exp_is_that_of_f64() {
        let x = grid(-86.9, 88.0);
        let mut y = x.clone();
        Arch::new().dispatch(Map(&mut y, false));
        for (x, y) in x.iter().zip(&y) {
            let slow = f64::from(*x).exp();
            assert!((f64::from(*y) / slow - 1.0).abs() < 2.4e-7, "{x}: {y} {slow}");
        }
        let mut far = [-1000.0_f32; 16];
        far[1] = f32::NEG_INFINITY;
        Arch::new().dispatch(Map(&mut far, false));
        assert!(far.iter().all(|y| (0.0..1e-37).contains(y)), "{far:?}");
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
