//! Global-norm gradient clipping: all gradients together are seen as one vector.

use nac_engine::optimizer::sum_of_squares;
use tch::{Kind, Tensor};

use super::host;
use crate::error::Result;

/// Euclidean norm of all gradients together; undefined gradients count as zero.
///
/// # Errors
/// libtorch fails.
pub fn global_norm(gradients: &[Tensor]) -> Result<f64> {
    let defined = || gradients.iter().filter(|gradient| gradient.defined());
    if defined().all(host::is_plain) {
        let values: Vec<&[f32]> = defined().filter_map(host::values).collect();
        return Ok(sum_of_squares(&values, host::threads()).sqrt());
    }
    let norm = |gradient: &Tensor| {
        let norm = gradient.f_norm()?;
        norm.f_to_kind(Kind::Double)
    };
    let norms = defined()
        .map(norm)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if norms.is_empty() {
        return Ok(0.0);
    }
    Ok(Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])?)
}

/// What gradients of global norm `norm` are multiplied by to get a norm of at most `limit`.
pub fn clip_factor(norm: f64, limit: f64) -> f64 {
    if norm > limit { limit / norm } else { 1.0 }
}

/// Multiplies all gradients by `factor`.
///
/// # Errors
/// libtorch fails.
pub fn scale(gradients: &mut [Tensor], factor: f64) -> Result<()> {
    if factor == 1.0 {
        return Ok(());
    }
    for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
        let _ = gradient.f_mul_scalar_(factor)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gradients_are_shortened_and_short_ones_kept() {
        let gradients = || {
            [
                Tensor::from_slice(&[3.0_f32, 0.0]),
                Tensor::new(),
                Tensor::from_slice(&[4.0_f32]),
            ]
        };
        let mut changed = gradients();
        let norm = global_norm(&changed).unwrap();
        assert_eq!(norm, 5.0);
        scale(&mut changed, clip_factor(norm, 6.0)).unwrap();
        assert_eq!(changed[0], gradients()[0]);
        scale(&mut changed, clip_factor(norm, 1.0)).unwrap();
        assert!((global_norm(&changed).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(global_norm(&[]).unwrap(), 0.0);
        let wide = [Tensor::from_slice(&[3.0_f64]), changed[2].shallow_clone()];
        let expected = (9.0 + changed[2].double_value(&[0]).powi(2)).sqrt();
        assert!((global_norm(&wide).unwrap() - expected).abs() < 1e-6);
    }
}
