//! The error that passes.
//!
//! Every golden carries its own noise floor `η`: the largest difference between the reference in `float32` and
//! the reference in `float64` on the same numbers. With `m` the largest magnitude of the recorded tensor:
//!
//! | numbers | allowed error | why |
//! |---|---|---|
//! | `float` | `4 η + 2·10⁻⁶ m` | two runs in `float32` that sum in another order each lie about `η` from the truth, so their distance reaches `2 η`; twice that leaves room for one draw of noise being a poor estimate. The floor is 17 units in the last place, for tensors whose `η` happens to be almost zero |
//! | `float`, one number | `4 η + 10⁻⁵ m` | the noise of a single number is one draw: it can be zero by luck |
//! | `float`, a gradient of one number | `4 η + 10⁻⁵ m + 2·10⁻⁶ t` | a gain's gradient is a sum over everything that the gain scales. Where the terms cancel, it keeps the rounding noise of the terms, however small it is itself. `t`, the largest gradient of the other tensors of its layer, stands for the size of the terms |
//! | `double` | `1.001 η + 10⁻¹⁰ m` | our values are the truth to many digits, so all that remains is the golden's own noise, which is recorded with four digits; beyond it we allow `10⁻¹⁰` |
//! | `double`, a gradient of one number | `10⁻¹⁰ t` more | the same |
//! | `bfloat16` | `m / 10`; gradients `m / 10 + g / 50` with `g` the largest gradient of the golden | eight bits of mantissa through a whole network: a check that it runs and goes the right way, not that it is exact |
//!
//! A tensor whose floor was not recorded is compared as in `float`, whatever our numbers: it is in `float32` itself.
//! Gradients that are zero by algebra hold rounding noise and nothing else. They are compared with zero, and
//! `m` is the largest gradient of the whole golden.

use tch::Kind;

use super::golden::Golden;
use super::magnitude::largest_finite;

/// Multiples of the golden's own noise floor.
const NOISE: Numbers = Numbers {
    float: 4.0,
    double: 1.001,
    bfloat16: 0.0,
};
/// Share of the largest recorded value.
const FLOOR: Numbers = Numbers {
    float: 2e-6,
    double: 1e-10,
    bfloat16: 0.1,
};
/// The same for a single number.
const FLOOR_OF_ONE: Numbers = Numbers {
    float: 1e-5,
    double: 1e-10,
    bfloat16: 0.1,
};
/// The same for a gradient that is zero by algebra: a share of the golden's largest gradient.
const FLOOR_OF_ZERO: Numbers = Numbers {
    float: 1e-5,
    double: 1e-10,
    bfloat16: 0.1,
};
/// In `bfloat16` a gradient may differ by this share of the golden's largest one.
const SMALL_GRADIENTS: f64 = 0.02;
/// The size of the terms that a single number may be what is left of, when they cancel: the largest gradient of the
/// other tensors of its layer, or of the nearest layer around it that has any. 0 for what is no gradient of one number.
fn terms(golden: &Golden, name: &str) -> Result<f64, tch::TchError> {
    let one = golden.tensors.get(name).is_some_and(|t| t.numel() == 1);
    let mut layer = name;
    while let (true, Some((parent, _))) = (one && name.starts_with("grad."), layer.rsplit_once('.'))
    {
        layer = parent;
        let mut largest = None::<f64>;
        for (other, tensor) in golden.below(layer) {
            if other.starts_with('.') && *other != name[layer.len()..] {
                let found = largest_finite(tensor)?;
                largest = Some(largest.map_or(found, |largest| largest.max(found)));
            }
        }
        if let Some(largest) = largest {
            return Ok(largest);
        }
    }
    Ok(0.0)
}

/// Below this nothing is compared: the recorded value itself is zero.
const TINY: f64 = 1e-12;

struct Numbers {
    float: f64,
    double: f64,
    bfloat16: f64,
}

impl Numbers {
    fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Double => self.double,
            Kind::BFloat16 => self.bfloat16,
            _ => self.float,
        }
    }
}

/// What passes for one tensor.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Largest absolute error that passes.
    pub error: f64,
    /// Compare with zero, not with the recorded values.
    pub zero: bool,
    /// Scale for a gradient that is zero by algebra: the golden's largest gradient.
    pub scale: f64,
}

/// What passes for the tensor `name` of a golden, in numbers of `kind`.
///
/// `largest` is the largest magnitude of the recorded tensor, `largest_gradient` that of all recorded gradients.
///
/// # Errors
/// libtorch fails.
pub fn allowed(
    golden: &Golden,
    name: &str,
    kind: Kind,
    largest: f64,
    largest_gradient: f64,
) -> Result<Allowed, tch::TchError> {
    let floor = golden.metadata.f32_vs_f64.get(name);
    let kind = if floor.is_none() && kind == Kind::Double {
        Kind::Float
    } else {
        kind
    };
    let noise = floor.map_or(0.0, |floor| floor.max_abs_err);
    let zero = golden.metadata.structurally_zero_grads.contains(name);
    let one = golden
        .tensors
        .get(name)
        .is_some_and(|tensor| tensor.numel() == 1);
    let (share, scale) = match (zero, one) {
        (true, _) => (FLOOR_OF_ZERO.of(kind), largest_gradient),
        (false, true) => (FLOOR_OF_ONE.of(kind), largest),
        (false, false) => (FLOOR.of(kind), largest),
    };
    let noise = match kind {
        // Small gradients are differences of large ones.
        Kind::BFloat16 if name.starts_with("grad.") => SMALL_GRADIENTS * largest_gradient,
        Kind::Double if zero => 0.0,
        _ => NOISE.of(kind) * noise,
    };
    let cancelled = match kind {
        Kind::BFloat16 => 0.0,
        _ => FLOOR.of(kind) * terms(golden, name)?,
    };
    Ok(Allowed {
        error: noise + share * scale + cancelled + TINY,
        zero,
        scale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn golden() -> Golden {
        let metadata = r#"{"config": {}, "structurally_zero_grads": ["grad.param.b"],
            "f32_vs_f64": {"out.y": {"max_abs_err": 1e-6}, "out.loss": {"max_abs_err": 0.0}}}"#;
        let tensors = [
            ("out.y", Tensor::from_slice(&[1.0_f32, 2.0])),
            ("out.loss", Tensor::from(3.0_f32)),
            ("grad.param.b", Tensor::from_slice(&[1e-9_f32, 1e-9])),
        ];
        Golden {
            name: "x".into(),
            tensors: tensors.map(|(name, t)| (name.to_owned(), t)).into(),
            metadata: serde_json::from_str(metadata).unwrap(),
        }
    }

    #[test]
    fn the_noise_floor_and_the_share_add_up() {
        let golden = golden();
        let error = |name, kind| allowed(&golden, name, kind, 2.0, 7.0).unwrap().error;
        let near =
            |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-5, "{found:e}");
        near(error("out.y", Kind::Float), 4e-6 + 4e-6);
        near(error("out.loss", Kind::Float), 2e-5);
        near(error("out.y", Kind::Double), 1.001e-6 + 2e-10 + 1e-12);
        near(error("grad.param.b", Kind::Float), 7e-5);
        near(error("out.no_floor", Kind::Double), 4e-6);
        assert!(
            allowed(&golden, "grad.param.b", Kind::Float, 2.0, 7.0)
                .unwrap()
                .zero
        );
    }

    /// A gain's gradient of 1e-10 where the weights of its layer have gradients of 1e-3; another layer's do not count.
    #[test]
    fn what_is_left_of_terms_that_cancel_has_the_noise_of_the_terms() {
        let mut golden = golden();
        for (name, value) in [
            ("l.gain", 1e-10_f32),
            ("l.weight", 1e-3),
            ("m.weight", 5.0),
            ("n.bandwidth", 1.0),
        ] {
            let tensor = Tensor::from(value).view([1]);
            golden.tensors.insert(format!("grad.param.{name}"), tensor);
        }
        let of = |name: &str| {
            allowed(&golden, name, Kind::Float, 1e-10, 5.0)
                .unwrap()
                .error
        };
        let near =
            |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-3, "{found:e}");
        near(of("grad.param.l.gain"), 2e-9 + 1e-12);
        // Nothing beside it in its layer: the layers around it stand in.
        near(of("grad.param.n.bandwidth"), 1e-5);
    }
}
