//! Orthogonal initialization: columns (or, with fewer modules than dimensions, rows) that are orthonormal.
//!
//! A matrix of normal numbers is made orthonormal by Gram–Schmidt, each vector twice, which keeps
//! the result orthonormal to rounding. It is the Q of the QR decomposition whose R has a positive
//! diagonal, so Q is uniform among such matrices, as `torch.nn.init.orthogonal_` has it.

use ndarray::Array2;

use crate::{CoreError, Stream};

/// A uniformly random matrix with orthonormal columns (`modules ≥ dim`) or rows (`modules < dim`).
///
/// # Shapes
/// - result: `[modules, dim]`
///
/// # Errors
/// [`CoreError::InvalidParameter`] if either size is 0.
pub fn orthogonal_signatures(
    modules: usize,
    dim: usize,
    stream: &mut Stream,
) -> Result<Array2<f64>, CoreError> {
    let op = "orthogonal_signatures";
    for (name, size) in [("modules", modules), ("dim", dim)] {
        if size == 0 {
            return Err(CoreError::parameter(op, name, size, "at least 1"));
        }
    }
    // Vectors to make orthonormal are rows here.
    let (count, length) = (modules.min(dim), modules.max(dim));
    let mut vectors = Array2::<f64>::zeros((count, length));
    for i in 0..count {
        let (done, mut rest) = vectors.view_mut().split_at(ndarray::Axis(0), i);
        let mut vector = rest.row_mut(0);
        loop {
            for value in &mut vector {
                let mut one = [0.0];
                stream.fill_normal_f64(&mut one);
                *value = one[0];
            }
            let drawn = vector.dot(&vector).sqrt();
            for _ in 0..2 {
                for earlier in done.rows() {
                    let along = vector.dot(&earlier);
                    vector.scaled_add(-along, &earlier);
                }
            }
            let norm = vector.dot(&vector).sqrt();
            // Almost in the span of the earlier ones: what is left would be rounding. Draw again.
            if norm > 1e-6 * drawn {
                vector /= norm;
                break;
            }
        }
    }
    Ok(if modules >= dim {
        vectors.reversed_axes().as_standard_layout().into_owned()
    } else {
        vectors
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_shorter_side_is_orthonormal(modules in 1_usize..40, dim in 1_usize..40, seed: u64) {
            let start = |seed| {
                let mut stream = Streams::new(seed).stream("start");
                orthogonal_signatures(modules, dim, &mut stream).unwrap()
            };
            let q = start(seed);
            prop_assert_eq!(q.dim(), (modules, dim));
            prop_assert_eq!(&q, &start(seed));
            let gram = if modules >= dim { q.t().dot(&q) } else { q.dot(&q.t()) };
            for ((i, j), value) in gram.indexed_iter() {
                let expected = if i == j { 1.0 } else { 0.0 };
                prop_assert!((value - expected).abs() < 1e-12, "{} {} {}", i, j, value);
            }
        }
    }

    #[test]
    fn no_size_is_zero() {
        let mut stream = Streams::new(0).stream("start");
        assert!(orthogonal_signatures(0, 3, &mut stream).is_err());
        assert!(orthogonal_signatures(3, 0, &mut stream).is_err());
    }
}
