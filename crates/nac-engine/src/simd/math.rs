//! Powers of two, exponentials, logarithms, the logarithm of the sigmoid, and exact GELU on vectors.
//!
//! `2ˣ`: `x = n + r` with `|r| ≤ ½`, a polynomial of degree 6 fitted to `2ʳ` with Chebyshev's nodes, then `2ⁿ` through the
//! exponent's bits. Relative error below 2.4e-7; below −126 it is cut off at `2⁻¹²⁶`, which is zero for every use here.
//! Softmax takes powers of two, its scores being multiplied by `log₂ e` beforehand.
//!
//! `GELU(x) = x/2 · (1 + erf(x/√2))`. With `t = |x|/√2`, `erf(t) = 1 − 2^(−t·Q(t))` where `Q`, a polynomial of degree
//! 10, was fitted to `−log₂(erfc t)/t` on `[0, 5]` with Chebyshev's nodes; beyond 5 `erfc` is below 2e-12. Absolute error
//! of `erf` below 1e-7.

//!
//! `eˣ = 2ⁿ · 2ᵗ` with `n` the integer next to `x log₂ e` and `t = (x − n ln 2) log₂ e`, where `ln 2` is in two parts, so
//! that `t` is exact to rounding. `eˣ − 1 = 2ⁿ (2ᵗ − 1) + (2ⁿ − 1)`, with `2ᵗ − 1 = t · E(t)`.
//!
//! `log x = n ln 2 + log1p(f)` with `x = 2ⁿ (1 + f)` and `√½ ≤ 1 + f < √2`, and `log1p(f) = f + f² · L(f)`. `E` and `L`,
//! polynomials of degree 5 and 8, were fitted with Chebyshev's nodes. Relative errors below 2.5e-7.

use std::f32::consts::{LN_2, LOG2_E, SQRT_2};

use pulp::Simd;

/// Adding and taking away 1.5 · 2²³ rounds to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;
/// `1/√(2π)`.
const INVERSE_SQRT_2_PI: f32 = 0.398_942_3;
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

/// `(2ᵗ − 1)/t` on `[−½, ½]`, highest degree first.
const POWER_M1: [f32; 6] = [
    1.546_144_8e-4,
    1.339_086_7e-3,
    9.618_057e-3,
    5.550_357e-2,
    2.402_265e-1,
    6.931_472e-1,
];
/// `(log1p(f) − f)/f²` on `[√½ − 1, √2 − 1]`, highest degree first.
const LOG1P: [f32; 9] = [
    -7.866_668e-2,
    1.282_174_9e-1,
    -1.310_163_4e-1,
    1.418_9e-1,
    -1.662_76e-1,
    2.000_196_9e-1,
    -2.500_077_2e-1,
    3.333_332_2e-1,
    -4.999_999_7e-1,
];
/// `ln 2` in two parts, the first with so few bits that its products with exponents are exact.
const LN_2_PARTS: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

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

/// `2ˣ` for `x` up to 127, and exactly zero below −126.
#[inline(always)]
pub(crate) fn exp2_or_zero<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let normal = simd.greater_than_or_equal_f32s(x, simd.splat_f32s(-126.0));
    simd.select_f32s(normal, exp2(simd, x), simd.splat_f32s(0.0))
}

/// `2ⁿ` and `t` with `eˣ = 2ⁿ · 2ᵗ` and `|t| ≤ ½`, for `x` in `[−87, 88]`.
#[inline(always)]
fn split_exponent<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.mul_add_f32s(x, simd.splat_f32s(LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    let [high, low] = LN_2_PARTS.map(|part| simd.splat_f32s(-part));
    let rest = simd.mul_add_f32s(n, low, simd.mul_add_f32s(n, high, x));
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let power = simd.add_u32s(exponent, simd.splat_u32s(1.0_f32.to_bits()));
    let t = simd.mul_f32s(rest, simd.splat_f32s(LOG2_E));
    (simd.transmute_f32s_u32s(power), t)
}

/// `eˣ − 1` for `x` in `[−87, 88]`; below, −1.
#[inline(always)]
pub(crate) fn exp_m1<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(-87.0));
    let (power, t) = split_exponent(simd, x);
    let less_one = simd.mul_f32s(t, polynomial(simd, &POWER_M1, t));
    let one = simd.splat_f32s(1.0);
    simd.mul_add_f32s(power, less_one, simd.sub_f32s(power, one))
}

/// `log1p(f)` for `1 + f` between `√½` and `√2`.
#[inline(always)]
fn log1p_near_zero<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(f, f);
    simd.mul_add_f32s(square, polynomial(simd, &LOG1P, f), f)
}

/// `log x` of a positive normal number.
#[inline(always)]
pub(crate) fn log<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // The exponent of x/√½, biased by 127, and x without it.
    let bits = simd.transmute_u32s_f32s(x);
    let offset = 1.0_f32.to_bits() - std::f32::consts::FRAC_1_SQRT_2.to_bits();
    let moved = simd.add_u32s(bits, simd.splat_u32s(offset));
    let biased = simd.wrapping_dyn_shr_u32s(moved, simd.splat_u32s(23));
    let unbiased = simd.sub_u32s(biased, simd.splat_u32s(127));
    let shifted = simd.wrapping_dyn_shl_u32s(unbiased, simd.splat_u32s(23));
    let mantissa = simd.transmute_f32s_u32s(simd.sub_u32s(bits, shifted));
    let f = simd.sub_f32s(mantissa, simd.splat_f32s(1.0));
    // An integer in the low bits of 2²³ is that much more than 2²³.
    let whole = simd.splat_f32s(8_388_608.0);
    let n = simd.or_u32s(biased, simd.transmute_u32s_f32s(whole));
    let n = simd.sub_f32s(
        simd.transmute_f32s_u32s(n),
        simd.splat_f32s(8_388_608.0 + 127.0),
    );
    let [high, low] = LN_2_PARTS.map(|part| simd.splat_f32s(part));
    let small = simd.mul_add_f32s(n, low, log1p_near_zero(simd, f));
    simd.mul_add_f32s(n, high, small)
}

/// `log σ(x) = min(x, 0) − log(1 + e^−|x|)`.
#[inline(always)]
pub(crate) fn log_sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (one, half) = (simd.splat_f32s(1.0), simd.splat_f32s(0.5));
    let far = simd.min_f32s(simd.abs_f32s(x), simd.splat_f32s(87.0));
    let (power, t) = split_exponent(simd, simd.neg_f32s(far));
    // 2ᵗ = 1 + t · E(t)
    let rest = simd.mul_f32s(t, polynomial(simd, &POWER_M1, t));
    let w = simd.mul_add_f32s(power, rest, power);
    // log(1 + w) = ln 2 + log1p((w − 1)/2) where w is beyond √2 − 1.
    let large = simd.greater_than_f32s(w, simd.splat_f32s(SQRT_2 - 1.0));
    let halved = simd.mul_f32s(simd.sub_f32s(w, one), half);
    let f = simd.select_f32s(large, halved, w);
    let zero = simd.splat_f32s(0.0);
    let constant = simd.select_f32s(large, simd.splat_f32s(LN_2), zero);
    let log1p = simd.add_f32s(log1p_near_zero(simd, f), constant);
    simd.sub_f32s(simd.min_f32s(x, zero), log1p)
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

/// GELU and its derivative `Φ(x) + x · φ(x)`, with `Φ(x) = (1 + erf(x/√2))/2` and `φ(x) = exp(−x²/2)/√(2π)`.
#[inline(always)]
pub(crate) fn gelu_and_slope<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let scale = simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2);
    let t = simd.mul_f32s(simd.abs_f32s(x), scale);
    let t = simd.min_f32s(t, simd.splat_f32s(5.0));
    let q = polynomial(simd, &ERFC, t);
    let erfc = exp2(simd, simd.neg_f32s(simd.mul_f32s(q, t)));
    let below = simd.mul_f32s(erfc, simd.splat_f32s(0.5));
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let negative = simd.less_than_f32s(x, zero);
    let cumulative = simd.select_f32s(negative, below, simd.sub_f32s(one, below));
    let half_log2_e = simd.splat_f32s(-0.5 * std::f32::consts::LOG2_E);
    let density = exp2(simd, simd.mul_f32s(simd.mul_f32s(x, x), half_log2_e));
    let density = simd.mul_f32s(density, simd.splat_f32s(INVERSE_SQRT_2_PI));
    let slope = simd.mul_add_f32s(x, density, cumulative);
    (simd.mul_f32s(x, cumulative), slope)
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

    #[derive(Clone, Copy)]
    enum Function {
        Gelu,
        Exp2,
        Exp2OrZero,
        ExpM1,
        Log,
        LogSigmoid,
    }

    struct Map<'a>(&'a mut [f32], Function);

    impl WithSimd for Map<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(values, function) = self;
            for value in S::as_mut_simd_f32s(values).0 {
                *value = match function {
                    Function::Gelu => gelu(simd, *value),
                    Function::Exp2 => exp2(simd, *value),
                    Function::Exp2OrZero => exp2_or_zero(simd, *value),
                    Function::ExpM1 => exp_m1(simd, *value),
                    Function::Log => log(simd, *value),
                    Function::LogSigmoid => log_sigmoid(simd, *value),
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
        Arch::new().dispatch(Map(&mut y, Function::Exp2));
        for (x, y) in x.iter().zip(&y) {
            let slow = f64::from(*x).exp2();
            assert!(
                (f64::from(*y) / slow - 1.0).abs() < 2.4e-7,
                "{x}: {y} {slow}"
            );
        }
        let mut far = [-1000.0_f32; 16];
        far[1] = f32::NEG_INFINITY;
        Arch::new().dispatch(Map(&mut far, Function::Exp2));
        assert!(far.iter().all(|y| (0.0..1.2e-38).contains(y)), "{far:?}");
        let mut far = [f32::NEG_INFINITY, -1e38, -126.1, -126.0].repeat(4);
        Arch::new().dispatch(Map(&mut far, Function::Exp2OrZero));
        assert_eq!(far[..4], [0.0, 0.0, 0.0, f32::MIN_POSITIVE]);
    }

    /// Largest relative error on a grid that is transformed by `spread`.
    fn relative(
        function: Function,
        (from, to): (f32, f32),
        spread: impl Fn(f32) -> f32,
        slow: impl Fn(f64) -> f64,
    ) -> f64 {
        let x: Vec<f32> = grid(from, to).into_iter().map(spread).collect();
        let mut y = x.clone();
        Arch::new().dispatch(Map(&mut y, function));
        let errors = x.iter().zip(&y).map(|(x, y)| {
            let slow = slow(f64::from(*x));
            if slow == 0.0 {
                f64::from(y.abs())
            } else {
                (f64::from(*y) / slow - 1.0).abs()
            }
        });
        errors.fold(0.0, f64::max)
    }

    #[test]
    fn exponentials_and_logarithms_are_those_of_f64() {
        let log_sigmoid = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
        for (function, range, slow) in [
            (Function::ExpM1, (-87.0, 0.0), f64::exp_m1 as fn(f64) -> f64),
            (Function::ExpM1, (-1.0, 1.0), f64::exp_m1),
            (Function::LogSigmoid, (-86.0, 86.0), log_sigmoid),
            (Function::LogSigmoid, (-2.0, 2.0), log_sigmoid),
            (Function::Log, (0.3, 3.0), f64::ln),
        ] {
            let error = relative(function, range, |x| x, slow);
            assert!(error < 2.5e-7, "{range:?}: {error}");
        }
        // From the least to the greatest normal number, and near zero.
        let error = relative(Function::Log, (-126.0, 127.9), f32::exp2, f64::ln);
        assert!(error < 2.5e-7, "{error}");
        let error = relative(Function::ExpM1, (-80.0, -1.0), |x| -x.exp2(), f64::exp_m1);
        assert!(error < 2.5e-7, "{error}");
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

    struct Slope<'a>(&'a mut [f32]);

    impl WithSimd for Slope<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for value in S::as_mut_simd_f32s(self.0).0 {
                *value = gelu_and_slope(simd, *value).1;
            }
        }
    }

    #[test]
    fn slope_of_gelu_is_its_definition() {
        let x = grid(-12.0, 12.0);
        let mut y = x.clone();
        Arch::new().dispatch(Slope(&mut y));
        for (x, y) in x.iter().zip(&y) {
            let z = f64::from(*x);
            let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let slow = 0.5 * (1.0 + erf(z / std::f64::consts::SQRT_2)) + z * density;
            assert!((f64::from(*y) - slow).abs() < 3e-7, "{x}: {y} {slow}");
        }
    }

    #[test]
    fn gelu_is_its_definition() {
        assert!((erf(1.0) - 0.842_700_792_949_714_9).abs() < 1e-14);
        assert!((erf(3.5) - 0.999_999_256_901_627_7).abs() < 1e-14);
        let x = grid(-12.0, 12.0);
        let mut y = x.clone();
        Arch::new().dispatch(Map(&mut y, Function::Gelu));
        for (x, y) in x.iter().zip(&y) {
            let z = f64::from(*x);
            let slow = z / 2.0 * (1.0 + erf(z / std::f64::consts::SQRT_2));
            let error = (f64::from(*y) - slow).abs();
            assert!(error < 1.5e-7 * z.abs().max(1e-3), "{x}: {y} {slow}");
        }
    }
}
