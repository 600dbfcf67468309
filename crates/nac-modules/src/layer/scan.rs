//! Linear recurrences with constant decays along a sequence.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::shape;

/// `s_t = λ ⊙ s_{t−1} + x_t` with `λ = exp(−decay)`, from `s = 0` before the sequence.
///
/// Parallel prefix sum in `2 log₂ length` steps and work in proportion to the length: pairs of neighbours become one
/// element `x_{2i+1} + λ x_{2i}` of a sequence of half the length with the decay `2 · decay`, whose states are those at odd
/// positions; those at even positions follow in one step. Powers of `λ` are exponentials of multiples of the decay, so
/// nothing is divided and nothing overflows; with a decay of 0 sums of integers are exact. Source: Blelloch, Prefix Sums
/// and Their Applications (1990).
///
/// # Shapes
/// - x: `[batch, length, states]`
/// - decay: `[states]`, at least 0
/// - output: as x
///
/// # Errors
/// The shapes do not fit together.
pub fn linear_scan(x: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let expected = [("batch", None), ("length", None), ("states", None)];
    shape::check("linear_scan", "x", x, &expected)?;
    let states = x.size()[2];
    shape::check("linear_scan", "decay", decay, &[("states", Some(states))])?;
    scan(x, decay)
}

fn scan(x: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let size = x.size();
    let (batch, length, states) = (size[0], size[1], size[2]);
    if length < 2 {
        return Ok(x.shallow_clone());
    }
    let half = (length + 1) / 2;
    let x = match length % 2 {
        0 => x.shallow_clone(),
        _ => x.f_constant_pad_nd([0, 0, 0, 1])?,
    };
    let pairs = x.f_reshape([batch, half, 2, states])?.f_unbind(2)?;
    let [even, odd] = &pairs[..] else {
        return Ok(x);
    };
    let factor = decay.f_neg()?.f_exp()?;
    let odd = scan(&odd.f_addcmul(even, &factor)?, &decay.f_mul_scalar(2.0)?)?;
    let earlier = odd
        .f_narrow(1, 0, half - 1)?
        .f_constant_pad_nd([0, 0, 1, 0])?;
    let even = even.f_addcmul(&earlier, &factor)?;
    let both = Tensor::f_stack(&[even, odd], 2)?;
    let all = both.f_reshape([batch, 2 * half, states])?;
    Ok(all.f_narrow(1, 0, length)?)
}

/// Positions that [`filtered_scan`] takes together.
pub const CHUNK: i64 = 16;

/// `s_t = λ ⊙ s_{t−1} + Σ_k kernel_k ⊙ x_{t−k}` with `λ = exp(−decay)`, from zeros before the sequence.
///
/// Within a chunk of [`CHUNK`] positions, states are products with one small matrix for each state, made of the kernel and
/// of powers of `λ`; [`linear_scan`] carries the last states from chunk to chunk. That is a few passes over the data, where
/// a scan of all positions makes a dozen.
///
/// # Shapes
/// - x: `[states, batch, length]`
/// - kernel: `[taps, states]`, taps at most [`CHUNK`]
/// - decay: `[states]`, at least 0
/// - output: as x
///
/// # Errors
/// The shapes do not fit together.
pub fn filtered_scan(x: &Tensor, kernel: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let expected = [("states", None), ("batch", None), ("length", None)];
    shape::check("filtered_scan", "x", x, &expected)?;
    let size = x.size();
    let (states, batch, length) = (size[0], size[1], size[2]);
    let expected = [("taps", None), ("states", Some(states))];
    shape::check("filtered_scan", "kernel", kernel, &expected)?;
    shape::check("filtered_scan", "decay", decay, &[("states", Some(states))])?;
    let chunks = (length + CHUNK - 1) / CHUNK;
    let x = match chunks * CHUNK - length {
        0 => x.shallow_clone(),
        missing => x.f_constant_pad_nd([0, missing])?,
    };
    let x = x.f_reshape([states, batch, chunks, CHUNK])?;
    let reach = kernel.size()[0] - 1;
    let before = x.f_narrow(2, 0, chunks - 1)?;
    let before = before.f_narrow(3, CHUNK - reach, reach)?;
    let before = before.f_constant_pad_nd([0, 0, 1, 0])?;
    let x = Tensor::f_cat(&[before, x], 3)?;
    let x = x.f_view([states, batch * chunks, reach + CHUNK])?;
    let matrix = chunk_matrix(kernel, decay)?;
    // States at the ends of chunks, first without, then with what chunks before leave.
    let ends = x.f_bmm(&matrix.f_narrow(2, CHUNK - 1, 1)?)?;
    let ends = ends.f_view([states, batch, chunks])?.f_permute([1, 2, 0])?;
    let ends = linear_scan(&ends.f_contiguous()?, &decay.f_mul_scalar(CHUNK as f64)?)?;
    let carry = ends
        .f_narrow(1, 0, chunks - 1)?
        .f_constant_pad_nd([0, 0, 1, 0])?;
    let carry = carry.f_permute([2, 0, 1])?.f_reshape([states, -1, 1])?;
    let steps = Tensor::f_arange_start(1, CHUNK + 1, (decay.kind(), decay.device()))?;
    let powers = decay.f_neg()?.f_outer(&steps)?.f_exp()?.f_unsqueeze(1)?;
    let all = x.f_bmm(&matrix)?.f_baddbmm(&carry, &powers, 1, 1)?;
    let all = all.f_view([states, batch, chunks * CHUNK])?;
    Ok(all.f_narrow(2, 0, length)?)
}

/// What each input of a chunk, and those that the kernel reaches before it, adds to each state of the chunk.
///
/// # Shapes
/// - output: `[states, taps − 1 + CHUNK, CHUNK]`
fn chunk_matrix(kernel: &Tensor, decay: &Tensor) -> Result<Tensor> {
    let size = kernel.size();
    let (taps, states) = (size[0], size[1]);
    let width = taps - 1 + CHUNK;
    let options = (Kind::Int64, kernel.device());
    let at = Tensor::f_arange(CHUNK, options)?;
    // Input j is at the position j − (taps − 1); tap k puts it at position p = j − (taps − 1) + k.
    let input = Tensor::f_arange_start(1 - taps, CHUNK, options)?.f_view([1, -1, 1])?;
    let tap = Tensor::f_arange(taps, options)?.f_view([-1, 1, 1])?;
    let lands = input.f_add(&tap)?.f_eq_tensor(&at)?;
    let lands = lands
        .f_to_kind(kernel.kind())?
        .f_view([taps, width * CHUNK])?;
    let filter = kernel.f_transpose(0, 1)?.f_matmul(&lands)?;
    let filter = filter.f_view([states, width, CHUNK])?;
    let distance = at.f_unsqueeze(0)?.f_sub(&at.f_unsqueeze(1)?)?;
    let later = distance.f_ge(0)?.f_to_kind(decay.kind())?;
    let distance = distance.f_clamp_min(0)?.f_to_kind(decay.kind())?;
    let powers = decay
        .f_neg()?
        .f_view([states, 1, 1])?
        .f_mul(&distance)?
        .f_exp()?;
    Ok(filter.f_bmm(&powers.f_mul(&later)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tch::Device;

    /// The recurrence as it is written.
    fn one_by_one(x: &Tensor, decay: &Tensor) -> Tensor {
        let factor = decay.neg().exp();
        let mut states = vec![x.select(1, 0)];
        for t in 1..x.size()[1] {
            states.push(&states[states.len() - 1] * &factor + x.select(1, t));
        }
        Tensor::stack(&states, 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn states_and_gradients_are_those_of_the_sequential_recurrence(
            batch in 1_i64..3,
            length in 1_i64..70,
            decays in proptest::collection::vec(
                prop_oneof![Just(0.0_f64), 0.0_f64..0.1, 0.1_f64..30.0], 1..5),
            seed in 0_i64..1000,
        ) {
            tch::manual_seed(seed);
            let states = decays.len() as i64;
            let options = (Kind::Double, Device::Cpu);
            let x = Tensor::randn([batch, length, states], options);
            let up = Tensor::randn([batch, length, states], options);
            let run = |scan: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
                let x = x.copy().set_requires_grad(true);
                let decay = Tensor::from_slice(&decays).set_requires_grad(true);
                let y = scan(&x, &decay);
                // A single position does not depend on the decay.
                let loss = (&y * &up).sum(Kind::Double) + decay.sum(Kind::Double) * 0.0;
                loss.backward();
                [y.detach(), x.grad(), decay.grad()]
            };
            let found = run(&|x, decay| linear_scan(x, decay).unwrap());
            let expected = run(&one_by_one);
            for (found, expected) in found.iter().zip(&expected) {
                let scale = 1.0 + expected.abs().max().double_value(&[]);
                let error = (found - expected).abs().max().double_value(&[]) / scale;
                prop_assert!(error < 1e-12, "{error}");
            }
        }

        #[test]
        fn a_chunked_scan_is_a_scan_of_a_convolution(
            batch in 1_i64..3,
            length in 1_i64..70,
            taps in 1_i64..6,
            decays in proptest::collection::vec(
                prop_oneof![Just(0.0_f64), 0.0_f64..0.1, 0.1_f64..30.0], 1..5),
            seed in 0_i64..1000,
        ) {
            tch::manual_seed(seed);
            let states = decays.len() as i64;
            let options = (Kind::Double, Device::Cpu);
            let x = Tensor::randn([states, batch, length], options);
            let kernel = Tensor::randn([taps, states], options);
            let up = Tensor::randn([states, batch, length], options);
            let run = |scan: &dyn Fn(&Tensor, &Tensor, &Tensor) -> Tensor| {
                let x = x.copy().set_requires_grad(true);
                let kernel = kernel.copy().set_requires_grad(true);
                let decay = Tensor::from_slice(&decays).set_requires_grad(true);
                let y = scan(&x, &kernel, &decay);
                let loss = (&y * &up).sum(Kind::Double) + decay.sum(Kind::Double) * 0.0;
                loss.backward();
                [y.detach(), x.grad(), kernel.grad(), decay.grad()]
            };
            let found = run(&|x, kernel, decay| filtered_scan(x, kernel, decay).unwrap());
            let expected = run(&|x, kernel, decay| {
                let padded = x.constant_pad_nd([taps - 1, 0]);
                let parts = (0..taps).map(|tap| {
                    let earlier = padded.narrow(2, taps - 1 - tap, length);
                    earlier * kernel.get(tap).view([-1, 1, 1])
                });
                let sum = parts.reduce(|a, b| a + b).unwrap();
                one_by_one(&sum.permute([1, 2, 0]), decay).permute([2, 0, 1])
            });
            for (found, expected) in found.iter().zip(&expected) {
                let scale = 1.0 + expected.abs().max().double_value(&[]);
                let error = (found - expected).abs().max().double_value(&[]) / scale;
                prop_assert!(error < 1e-12, "{error}");
            }
        }
    }

    #[test]
    fn sums_of_integers_are_exact_and_long_decays_vanish() {
        let length = 4096;
        let steps: Vec<f32> = (0..length)
            .map(|t| if t % 3 == 0 { 1.0 } else { -1.0 })
            .collect();
        let x = Tensor::from_slice(&steps).view([1, length, 1]);
        let x = x.expand([1, length, 2], false);
        let decay = Tensor::from_slice(&[0.0_f32, 50.0]);
        let kernel = Tensor::from_slice(&[1.0_f32, 1.0]).view([1, 2]);
        let by_states = filtered_scan(&x.permute([2, 0, 1]), &kernel, &decay).unwrap();
        for y in [
            linear_scan(&x, &decay).unwrap(),
            by_states.permute([1, 2, 0]),
        ] {
            let sums = Vec::<f32>::try_from(y.select(2, 0).flatten(0, -1)).unwrap();
            let mut sum = 0.0;
            for (found, step) in sums.iter().zip(&steps) {
                sum += step;
                assert_eq!(*found, sum);
            }
            assert_eq!(y.isfinite().all().int64_value(&[]), 1);
            let last = y.double_value(&[0, length - 1, 1]);
            assert_eq!(last, f64::from(steps[steps.len() - 1]));
        }
        let short = Tensor::from_slice(&[0.0_f32]);
        assert!(linear_scan(&x, &short).is_err());
        assert!(filtered_scan(&x.permute([2, 0, 1]), &kernel, &short).is_err());
    }
}
