//! Linear recurrence with constant decays along a sequence.

use tch::Tensor;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tch::{Device, Kind};

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
                (&y * &up).sum(Kind::Double).backward();
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
    }

    #[test]
    fn sums_of_integers_are_exact_and_long_decays_vanish() {
        let length = 4096;
        let steps: Vec<f32> = (0..length)
            .map(|t| if t % 3 == 0 { 1.0 } else { -1.0 })
            .collect();
        let x = Tensor::from_slice(&steps).view([1, i64::from(length), 1]);
        let x = x.expand([1, i64::from(length), 2], false);
        let decay = Tensor::from_slice(&[0.0_f32, 50.0]);
        let y = linear_scan(&x, &decay).unwrap();
        let sums = Vec::<f32>::try_from(y.select(2, 0).flatten(0, -1)).unwrap();
        let mut sum = 0.0;
        for (found, step) in sums.iter().zip(&steps) {
            sum += step;
            assert_eq!(*found, sum);
        }
        assert!(y.isfinite().all().int64_value(&[]) == 1);
        let last = y.double_value(&[0, i64::from(length) - 1, 1]);
        assert_eq!(last, f64::from(steps[steps.len() - 1]));
        assert!(linear_scan(&x, &Tensor::from_slice(&[0.0_f32])).is_err());
    }
}
