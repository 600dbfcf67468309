//! Global-norm gradient clipping: all gradients together are seen as one vector.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Euclidean norm of all gradients together; undefined gradients count as zero.
///
/// # Errors
/// libtorch fails.
pub fn global_norm(gradients: &[Tensor]) -> Result<f64> {
    let norms = gradients
        .iter()
        .filter(|gradient| gradient.defined())
        .map(|gradient| {
            gradient
                .f_norm()
                .and_then(|norm| norm.f_to_kind(Kind::Double))
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if norms.is_empty() {
        return Ok(0.0);
    }
    Ok(Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])?)
}

/// Shortens the gradients to a global norm of `limit` if `norm` is above it.
///
/// # Errors
/// libtorch fails.
pub fn clip(gradients: &mut [Tensor], norm: f64, limit: f64) -> Result<()> {
    if norm <= limit {
        return Ok(());
    }
    for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
        let _ = gradient.f_mul_scalar_(limit / norm)?;
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
        clip(&mut changed, norm, 6.0).unwrap();
        assert_eq!(changed[0], gradients()[0]);
        clip(&mut changed, norm, 1.0).unwrap();
        assert!((global_norm(&changed).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(global_norm(&[]).unwrap(), 0.0);
    }
}
