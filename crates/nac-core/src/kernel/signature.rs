//! Signatures and their distance: `d(s_i, s_j) = 1 − cos(s_i, s_j)`, in `[0, 2]`.
//!
//! A row is divided by `max(‖row‖₂, 1e-12)`, as torch's `normalize` does. A zero signature thus
//! stays zero and is at distance 1 from everything, itself included. Rounding may carry a cosine a
//! little outside `[−1, 1]`; the distance is clamped, so that a link probability never exceeds 1.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use super::{first_unfit, for_row_blocks};
use crate::{CoreError, Real};

/// Smallest norm a signature is divided by.
pub const MIN_NORM: f64 = 1e-12;

/// Scales every row to length 1 (rows shorter than [`MIN_NORM`] are divided by `MIN_NORM`).
///
/// # Shapes
/// - signatures: `[modules, signature_dim]`
/// - result: `[modules, signature_dim]`
///
/// # Errors
/// [`CoreError::InvalidValue`] if an entry is NaN or infinite.
pub fn normalize_signatures<T: Real>(
    signatures: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    normalized("normalize_signatures", "signatures", signatures)
}

/// Cosine distance of every receiver to every sender.
///
/// # Shapes
/// - receivers: `[receivers, signature_dim]`
/// - senders: `[senders, signature_dim]`
/// - result: `[receivers, senders]`
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the signature dimensions differ, [`CoreError::InvalidValue`] if
/// an entry is NaN or infinite.
pub fn cosine_distance<T: Real>(
    receivers: ArrayView2<'_, T>,
    senders: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    let (receivers, senders) = normalized_pair("cosine_distance", receivers, senders)?;
    let mut out = Array2::zeros((receivers.nrows(), senders.nrows()));
    for_row_blocks(out.view_mut(), |first, rows| {
        distance_rows(receivers.view(), senders.view(), first, rows);
    });
    Ok(out)
}

/// Checks both sets of signatures and normalises them.
pub(crate) fn normalized_pair<T: Real>(
    op: &'static str,
    receivers: ArrayView2<'_, T>,
    senders: ArrayView2<'_, T>,
) -> Result<(Array2<T>, Array2<T>), CoreError> {
    if receivers.ncols() != senders.ncols() {
        let expected = "receivers [U, D] and senders [V, D] with the same signature dimension D";
        return Err(CoreError::shapes(
            op,
            receivers.shape(),
            senders.shape(),
            expected,
        ));
    }
    Ok((
        normalized(op, "receivers", receivers)?,
        normalized(op, "senders", senders)?,
    ))
}

/// Senders handled at a time: a block of rows by so many senders stays in the cache while it is
/// used, and is too small a product for matrixmultiply to start its own threads beside ours (if
/// it is built with them). Fixed, and a multiple of 32 (the draws of one step of a random stream).
pub(crate) const TILE_COLUMNS: usize = 256;

/// Writes the distances of receivers `first..first + out.nrows()` (already normalised) to `out`.
pub(crate) fn distance_rows<T: Real>(
    receivers: ArrayView2<'_, T>,
    senders: ArrayView2<'_, T>,
    first: usize,
    mut out: ArrayViewMut2<'_, T>,
) {
    let receivers = receivers.slice(s![first..first + out.nrows(), ..]);
    let senders = senders.axis_chunks_iter(Axis(0), TILE_COLUMNS);
    let tiles = out.axis_chunks_iter_mut(Axis(1), TILE_COLUMNS);
    for (senders, tile) in senders.zip(tiles) {
        distance_tile(receivers, senders, tile);
    }
}

/// Writes the distance of every receiver to every sender (already normalised) to `out`.
///
/// The tiling does not change a bit of the result: each dot product is summed in
/// the order of its terms.
pub(crate) fn distance_tile<T: Real>(
    receivers: ArrayView2<'_, T>,
    senders: ArrayView2<'_, T>,
    mut out: ArrayViewMut2<'_, T>,
) {
    let (zero, two) = (T::zero(), T::one() + T::one());
    ndarray::linalg::general_mat_mul(T::one(), &receivers, &senders.t(), zero, &mut out);
    out.mapv_inplace(|cosine| {
        let distance = T::one() - cosine;
        if distance < zero {
            zero
        } else if distance > two {
            two
        } else {
            distance
        }
    });
}

fn normalized<T: Real>(
    op: &'static str,
    array: &'static str,
    signatures: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    if let Some((index, value)) = first_unfit(signatures, |v| v.is_finite()) {
        return Err(CoreError::value(op, array, index, value, "finite"));
    }
    // A fresh row-major copy, so that the result does not depend on the memory layout given.
    let mut out = Array2::zeros(signatures.raw_dim());
    out.assign(&signatures);
    for mut row in out.axis_iter_mut(Axis(0)) {
        let length = norm(row.view()).max(T::from_f64(MIN_NORM));
        if length.is_finite() {
            row.mapv_inplace(|v| v / length);
        } else {
            // The squares overflowed: bring the row to a safe size first.
            let largest = row.fold(T::zero(), |m, v| m.max(v.abs()));
            row.mapv_inplace(|v| v / largest);
            let length = norm(row.view());
            row.mapv_inplace(|v| v / length);
        }
    }
    Ok(out)
}

fn norm<T: Real>(row: ArrayView1<'_, T>) -> T {
    row.fold(T::zero(), |sum, &v| sum + v * v).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use ndarray::array;
    use proptest::prelude::*;

    /// The definition, one pair at a time, in `f64`.
    fn reference(receivers: &Array2<f32>, senders: &Array2<f32>) -> Array2<f64> {
        Array2::from_shape_fn((receivers.nrows(), senders.nrows()), |(i, j)| {
            let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
            for k in 0..receivers.ncols() {
                let (a, b) = (f64::from(receivers[[i, k]]), f64::from(senders[[j, k]]));
                dot += a * b;
                a2 += a * a;
                b2 += b * b;
            }
            1.0 - dot / (a2.sqrt().max(MIN_NORM) * b2.sqrt().max(MIN_NORM))
        })
    }

    fn normals(name: &str, rows: usize, columns: usize) -> Array2<f32> {
        let mut out = Array2::zeros((rows, columns));
        Streams::new(1)
            .stream(name)
            .fill_normal(out.as_slice_mut().unwrap());
        out
    }

    #[test]
    fn blocks_match_the_slow_reference() {
        for (u, v, d) in [(1, 1, 1), (3, 200, 7), (200, 3, 64), (129, 65, 16)] {
            let (r, s) = (normals("r", u, d), normals("s", v, d));
            let fast = cosine_distance(r.view(), s.view()).unwrap();
            let slow = reference(&r, &s);
            for (index, &value) in fast.indexed_iter() {
                assert!((f64::from(value) - slow[index]).abs() < 1e-6, "{index:?}");
            }
        }
    }

    #[test]
    fn memory_layout_does_not_matter() {
        let r = normals("r", 70, 8);
        let mut transposed = Array2::zeros((8, 70));
        transposed.assign(&r.t());
        let a = cosine_distance(r.view(), r.view()).unwrap();
        let b = cosine_distance(transposed.t(), transposed.t()).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn zero_and_huge_signatures_are_defined() {
        let s = array![[0.0_f32, 0.0], [3e38, 3e38], [1e-30, 0.0], [1.0, 1.0]];
        let d = cosine_distance(s.view(), s.view()).unwrap();
        assert_eq!(d[[0, 0]], 1.0);
        assert_eq!(d[[0, 3]], 1.0);
        assert!(d[[1, 3]] < 1e-6);
        assert!(d.iter().all(|v| (0.0..=2.0).contains(v)));
    }

    #[test]
    fn bad_input_is_named() {
        let good = array![[1.0_f32, 2.0]];
        let wide = array![[1.0_f32, 2.0, 3.0]];
        let message = cosine_distance(good.view(), wide.view())
            .unwrap_err()
            .to_string();
        assert!(message.contains("[1, 2]") && message.contains("[1, 3]"));
        let bad = array![[1.0_f32, 2.0], [0.0, f32::NAN]];
        let message = cosine_distance(good.view(), bad.view())
            .unwrap_err()
            .to_string();
        assert!(message.contains("senders[1, 1] is NaN"), "{message}");
    }

    proptest! {
        #[test]
        fn scaling_a_signature_changes_nothing(scale in 1e-3_f64..1e3, seed: u64) {
            let mut a = Array2::<f64>::zeros((5, 4));
            Streams::new(seed).stream("a").fill_normal_f64(a.as_slice_mut().unwrap());
            let b = &a * scale;
            let d = cosine_distance(a.view(), a.view()).unwrap();
            let e = cosine_distance(b.view(), a.view()).unwrap();
            for (x, y) in d.iter().zip(&e) {
                prop_assert!((x - y).abs() < 1e-12);
            }
        }
    }
}
