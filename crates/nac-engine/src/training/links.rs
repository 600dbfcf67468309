//! Relaxed Bernoulli samples of links, in log space, and their gradient.
//!
//! `l = (log u − log(1 − u) + logit)/τ`, result `log σ(l)` between `ln 2⁻¹²⁶` and `ln(1 − ε)`, with `u` clamped to
//! `[ε, 1 − ε]` and `ε = 2⁻²³`. Source: Concrete distribution (arXiv 1611.00712) as PyTorch's `RelaxedBernoulli` computes
//! it. From the result `y` alone: `∇logit = ∇y (1 − eʸ)/τ`, and zero where `y` is at a bound.

use pulp::{Simd, WithSimd};

use super::compute::{Chunks, Compute};
use crate::error::{EngineError, Result};
use crate::simd::math::{exp_m1, log, log_sigmoid};

/// Resolution of a number below one.
const EPSILON: f32 = f32::EPSILON;

/// Links that one thread computes at a time.
const PART: usize = 2048;

/// Least and greatest logarithm of a sample: `ln 2⁻¹²⁶` and `ln(1 − ε)`.
const BOUNDS: [f32; 2] = [-87.336_55, -1.192_093e-7];

/// Logarithms of relaxed samples.
///
/// # Shapes
/// - logit: `[links]`, the same for every example, or `[batch, links]`
/// - uniform: `[batch, links]`, in `[0, 1)`
/// - out: as uniform
///
/// # Errors
/// [`EngineError::Length`] if the shapes do not fit.
pub fn relax(
    compute: &Compute,
    logit: &[f32],
    uniform: &[f32],
    temperature: f64,
    out: &mut [f32],
) -> Result<()> {
    let shape = check("relax", logit.len(), uniform.len())?;
    EngineError::check_length("relax", "out", out.len(), &shape)?;
    let (parts, links) = (out.len().div_ceil(PART), logit.len());
    compute.each(parts, Chunks::new(out, PART), |index, out, _| {
        let (mut from, mut out) = (index * PART, out.into_slice());
        while !out.is_empty() {
            let count = out.len().min(links - from % links);
            let (part, rest) = out.split_at_mut(count);
            compute.arch().dispatch(Relax {
                logit: &logit[from % links..][..count],
                uniform: &uniform[from..][..count],
                sharpness: (1.0 / temperature) as f32,
                out: part,
            });
            (from, out) = (from + count, rest);
        }
    });
    Ok(())
}

/// Gradient of the logits, from the samples that [`relax`] gave and the gradient of these.
///
/// # Shapes
/// - samples, d_samples: `[batch, links]`
/// - d_logit: `[links]`, which is the sum over examples, or `[batch, links]`; overwritten
///
/// # Errors
/// [`EngineError::Length`] if the shapes do not fit.
pub fn relax_gradient(
    compute: &Compute,
    samples: &[f32],
    d_samples: &[f32],
    temperature: f64,
    d_logit: &mut [f32],
) -> Result<()> {
    let links = d_logit.len();
    let shape = check("relax_gradient", links, samples.len())?;
    EngineError::check_length("relax_gradient", "d_samples", d_samples.len(), &shape)?;
    let examples = shape[0];
    // Few links of many examples are dealt out in smaller parts.
    let size = (PART / examples).max(64);
    let parts = Chunks::new(d_logit, size);
    compute.each(links.div_ceil(size), parts, |index, d_logit, _| {
        let d_logit = d_logit.into_slice();
        d_logit.fill(0.0);
        for example in 0..examples {
            let own =
                example * links + index * size..example * links + index * size + d_logit.len();
            compute.arch().dispatch(AddGradient {
                samples: &samples[own.clone()],
                d_samples: &d_samples[own],
                sharpness: (1.0 / temperature) as f32,
                d_logit,
            });
        }
    });
    Ok(())
}

/// How many examples there are, and how many links each has.
fn check(op: &'static str, links: usize, all: usize) -> Result<[usize; 2]> {
    let examples = all.checked_div(links).unwrap_or(0);
    EngineError::check_length(op, "samples", all, &[examples, links])?;
    Ok([examples, links])
}

struct Relax<'a> {
    logit: &'a [f32],
    uniform: &'a [f32],
    sharpness: f32,
    out: &'a mut [f32],
}

impl WithSimd for Relax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sharpness = simd.splat_f32s(self.sharpness);
        let (logit, logit_rest) = S::as_simd_f32s(self.logit);
        let (uniform, uniform_rest) = S::as_simd_f32s(self.uniform);
        let (out, out_rest) = S::as_mut_simd_f32s(self.out);
        for ((out, logit), uniform) in out.iter_mut().zip(logit).zip(uniform) {
            *out = sample(simd, *logit, *uniform, sharpness);
        }
        if !out_rest.is_empty() {
            let logit = simd.partial_load_f32s(logit_rest);
            let uniform = simd.partial_load_f32s(uniform_rest);
            simd.partial_store_f32s(out_rest, sample(simd, logit, uniform, sharpness));
        }
    }
}

/// Logarithms of samples, one in each lane.
#[inline(always)]
fn sample<S: Simd>(simd: S, logit: S::f32s, uniform: S::f32s, sharpness: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let u = simd.max_f32s(uniform, simd.splat_f32s(EPSILON));
    let u = simd.min_f32s(u, simd.splat_f32s(1.0 - EPSILON));
    let noise = log(simd, simd.div_f32s(u, simd.sub_f32s(one, u)));
    let scaled = simd.mul_f32s(simd.add_f32s(noise, logit), sharpness);
    let (low, high) = (simd.splat_f32s(BOUNDS[0]), simd.splat_f32s(BOUNDS[1]));
    simd.min_f32s(simd.max_f32s(log_sigmoid(simd, scaled), low), high)
}

struct AddGradient<'a> {
    samples: &'a [f32],
    d_samples: &'a [f32],
    sharpness: f32,
    d_logit: &'a mut [f32],
}

impl WithSimd for AddGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sharpness = simd.splat_f32s(-self.sharpness);
        let (samples, samples_rest) = S::as_simd_f32s(self.samples);
        let (d_samples, d_samples_rest) = S::as_simd_f32s(self.d_samples);
        let (d_logit, d_logit_rest) = S::as_mut_simd_f32s(self.d_logit);
        for ((sum, y), d_y) in d_logit.iter_mut().zip(samples).zip(d_samples) {
            *sum = simd.mul_add_f32s(slope(simd, *y, sharpness), *d_y, *sum);
        }
        if !d_logit_rest.is_empty() {
            let sum = simd.partial_load_f32s(d_logit_rest);
            let slope = slope(simd, simd.partial_load_f32s(samples_rest), sharpness);
            let d_y = simd.partial_load_f32s(d_samples_rest);
            simd.partial_store_f32s(d_logit_rest, simd.mul_add_f32s(slope, d_y, sum));
        }
    }
}

/// How samples `y` change with logits: `(1 − eʸ)/τ`, zero at a bound; `sharpness` is `−1/τ`.
#[inline(always)]
fn slope<S: Simd>(simd: S, y: S::f32s, sharpness: S::f32s) -> S::f32s {
    let (low, high) = (simd.splat_f32s(BOUNDS[0]), simd.splat_f32s(BOUNDS[1]));
    let inside = simd.and_m32s(simd.less_than_f32s(low, y), simd.less_than_f32s(y, high));
    let slope = simd.mul_f32s(exp_m1(simd, y), sharpness);
    simd.select_f32s(inside, slope, simd.splat_f32s(0.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use nac_core::Streams;

    use super::*;
    use crate::training::TrainingPrecision;

    const TINY: f64 = f32::MIN_POSITIVE as f64;

    /// Step by step, as `RelaxedBernoulli` has it.
    fn definition(logit: f64, uniform: f64, temperature: f64) -> f64 {
        let epsilon = f64::from(f32::EPSILON);
        let u = uniform.clamp(epsilon, 1.0 - epsilon);
        let scaled = (u.ln() - (-u).ln_1p() + logit) / temperature;
        let log = scaled.min(0.0) - (-scaled.abs()).exp().ln_1p();
        log.clamp(TINY.ln(), (-epsilon).ln_1p())
    }

    /// Logits and draws in the middle, at the ends and beyond.
    fn operands(examples: usize, links: usize, shared: bool) -> [Vec<f32>; 2] {
        let mut logit = vec![0.0_f32; if shared { links } else { examples * links }];
        Streams::new(1).stream("logit").fill_normal(&mut logit);
        logit.iter_mut().for_each(|x| *x *= 4.0);
        for (x, end) in logit
            .iter_mut()
            .skip(3)
            .step_by(17)
            .zip([15.94, -15.94, 1e-6].iter().cycle())
        {
            *x = *end;
        }
        let mut stream = Streams::new(1).stream("uniform");
        let mut uniform: Vec<f32> = (0..examples * links)
            .map(|_| stream.uniform() as f32)
            .collect();
        let ends = [0.0, 1e-9, 5.9e-8, 0.5, 1.0 - f32::EPSILON / 2.0, 1e-4];
        for (u, end) in uniform.iter_mut().step_by(11).zip(ends.iter().cycle()) {
            *u = *end;
        }
        [logit, uniform]
    }

    #[test]
    fn samples_and_gradients_are_those_of_the_definition() {
        for (examples, links, shared) in [
            (1, 1, true),
            (3, 1025, true),
            (5, 700, false),
            (70, 9, true),
            (2, 5000, true),
        ] {
            for temperature in [0.5, 0.05, 2.0] {
                let [logit, uniform] = operands(examples, links, shared);
                let [mut out, mut again] = [0, 1].map(|_| vec![f32::NAN; uniform.len()]);
                let mut d_out = vec![0.0_f32; uniform.len()];
                Streams::new(1).stream("gradient").fill_normal(&mut d_out);
                let [mut d_logit, mut d_again] = [0, 1].map(|_| vec![f32::NAN; logit.len()]);
                let compute = Compute::new(1, TrainingPrecision::F32).unwrap();
                relax(&compute, &logit, &uniform, temperature, &mut out).unwrap();
                relax_gradient(&compute, &out, &d_out, temperature, &mut d_logit).unwrap();
                let three = Compute::new(3, TrainingPrecision::F32).unwrap();
                relax(&three, &logit, &uniform, temperature, &mut again).unwrap();
                relax_gradient(&three, &out, &d_out, temperature, &mut d_again).unwrap();
                assert_eq!((&out, &d_logit), (&again, &d_again));
                let mut slopes = vec![0.0; logit.len()];
                for (index, y) in out.iter().enumerate() {
                    let x = f64::from(logit[index % logit.len()]);
                    let u = f64::from(uniform[index]);
                    let at = |x: f64| definition(x, u, temperature);
                    // What rounding the logit of u does to the result.
                    let noise = 2e-6 / temperature;
                    let error = (f64::from(*y) - at(x)).abs();
                    assert!(
                        error < noise + 1e-6 * at(x).abs(),
                        "{x} {u} {temperature}: {y} {}",
                        at(x)
                    );
                    let step = 1e-5;
                    let slope = (at(x + step) - at(x - step)) / (2.0 * step);
                    slopes[index % logit.len()] += slope * f64::from(d_out[index]);
                }
                for (found, slope) in d_logit.iter().zip(&slopes) {
                    let bound = 1e-4 * examples as f64 / temperature;
                    assert!((f64::from(*found) - slope).abs() < bound, "{found} {slope}");
                }
            }
        }
    }

    #[test]
    fn bounds_stop_the_gradient() {
        let compute = Compute::new(1, TrainingPrecision::F32).unwrap();
        let (logit, uniform) = ([15.0, -15.0, 0.0], [0.999, 0.001, 0.5]);
        let (mut out, mut d_logit) = ([0.0; 3], [f32::NAN; 3]);
        relax(&compute, &logit, &uniform, 0.1, &mut out).unwrap();
        assert_eq!(out[..2], [BOUNDS[1], BOUNDS[0]]);
        let least = TINY.ln() as f32;
        let most = (-f64::from(f32::EPSILON)).ln_1p() as f32;
        assert_eq!(BOUNDS, [least, most]);
        relax_gradient(&compute, &out, &[1.0; 3], 0.1, &mut d_logit).unwrap();
        assert_eq!(d_logit[..2], [0.0; 2]);
        assert!((d_logit[2] - 5.0).abs() < 1e-5);
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let compute = Compute::new(1, TrainingPrecision::F32).unwrap();
        let error = relax(&compute, &[0.0; 3], &[0.5; 7], 1.0, &mut [0.0; 7]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "relax: `samples` has 7 elements, but [2, 3] needs 6"
        );
        assert!(relax(&compute, &[], &[0.5; 7], 1.0, &mut [0.0; 7]).is_err());
        assert!(relax(&compute, &[0.0; 3], &[0.5; 6], 1.0, &mut [0.0; 5]).is_err());
        assert!(relax_gradient(&compute, &[0.0; 6], &[0.0; 5], 1.0, &mut [0.0; 3]).is_err());
    }
}
