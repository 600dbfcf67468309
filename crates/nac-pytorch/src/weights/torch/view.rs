//! From storages to tensors: views of any offset and strides become tensors of their own.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::archive::Archive;
use super::select::Part;
use crate::weights::error::Result;
use crate::weights::pickle::{Pickle, StorageRef, TensorRef};

/// An expanded view repeats elements, so a small file could ask for any amount of memory. Together the tensors
/// may take this many times the bytes of the file …
const MOST_GROWTH: u64 = 8;
/// … or this many bytes.
const ALWAYS_ALLOWED: u64 = 16 << 20;

/// Reads the tensors of a part.
///
/// # Errors
/// A storage is missing or has another size than announced; a tensor reaches beyond its storage; all together
/// are far larger than the file.
pub(super) fn read(
    archive: &mut Archive,
    pickle: &Pickle,
    part: &Part,
) -> Result<BTreeMap<String, Tensor>> {
    // One storage at a time, for all tensors that share it.
    let mut by_storage: BTreeMap<&str, Vec<(&str, &TensorRef, &StorageRef)>> = BTreeMap::new();
    let (mut wanted, allowed) = (
        0_u64,
        archive.size.saturating_mul(MOST_GROWTH).max(ALWAYS_ALLOWED),
    );
    for (name, tensor) in &part.tensors {
        let tensor = &pickle.tensors[*tensor];
        let storage = &pickle.storages[tensor.storage];
        check(tensor, storage.count)
            .map_err(|reason| archive.fail(format!("`{name}`: {reason}")))?;
        let bytes = elements(&tensor.shape).and_then(|n| n.checked_mul(width(storage.kind)));
        wanted = wanted.saturating_add(bytes.unwrap_or(u64::MAX));
        if wanted > allowed {
            return Err(archive.fail(format!(
                "`{name}`: the tensors would take more than {allowed} bytes, {MOST_GROWTH} times the file"
            )));
        }
        let sharers = by_storage.entry(&storage.key).or_default();
        sharers.push((name, tensor, storage));
    }
    let mut tensors = BTreeMap::new();
    let mut read = 0_u64;
    for (key, sharers) in by_storage {
        let mut bytes: Option<Vec<u8>> = None;
        for (name, tensor, storage) in sharers {
            let expected = storage.count.saturating_mul(width(storage.kind));
            let bytes = match &bytes {
                Some(bytes) if bytes.len() as u64 == expected => bytes,
                _ => {
                    read = read.saturating_add(expected);
                    if read > archive.size {
                        return Err(archive.fail("the storages overlap"));
                    }
                    bytes.insert(archive.storage(key, expected)?)
                }
            };
            let made = make(bytes, tensor, storage.kind, archive.big_endian);
            let made = made.map_err(|reason| archive.fail(format!("`{name}`: {reason}")))?;
            tensors.insert(name.to_owned(), made);
        }
    }
    Ok(tensors)
}

fn width(kind: Kind) -> u64 {
    kind.elt_size_in_bytes() as u64
}

/// Number of elements of a shape; none if it does not fit.
pub(in crate::weights) fn elements(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size))
}

/// Checks that the last element lies within the storage.
fn check(tensor: &TensorRef, count: u64) -> std::result::Result<(), String> {
    let (shape, stride) = (&tensor.shape, &tensor.stride);
    let number = elements(shape).filter(|&number| i64::try_from(number).is_ok());
    let number = number.ok_or_else(|| format!("shape {shape:?} has too many elements"))?;
    if number == 0 {
        return Ok(());
    }
    let last = shape
        .iter()
        .zip(stride)
        .try_fold(tensor.offset, |last, (size, stride)| {
            last.checked_add((size - 1).checked_mul(*stride)?)
        });
    if last.is_none_or(|last| last >= count) {
        return Err(format!(
            "shape {shape:?} with strides {stride:?} from element {} reaches beyond its storage of {count} elements",
            tensor.offset
        ));
    }
    Ok(())
}

/// The elements of a view one after the other, `check`ed before.
fn gather(storage: &[u8], tensor: &TensorRef, width: usize) -> Vec<u8> {
    let number = elements(&tensor.shape).unwrap_or(0) as usize;
    let start = tensor.offset as usize * width;
    if number == 0 {
        return Vec::new();
    }
    let mut step = 1;
    let dense = tensor
        .shape
        .iter()
        .zip(&tensor.stride)
        .rev()
        .all(|(&size, &stride)| {
            let fits = size == 1 || stride == step;
            step *= size;
            fits
        });
    if dense {
        return storage[start..start + number * width].to_vec();
    }
    let mut elements = Vec::with_capacity(number * width);
    let mut index = vec![0_u64; tensor.shape.len()];
    let mut at = tensor.offset;
    for _ in 0..number {
        let start = at as usize * width;
        elements.extend_from_slice(&storage[start..start + width]);
        for dimension in (0..index.len()).rev() {
            index[dimension] += 1;
            at += tensor.stride[dimension];
            if index[dimension] < tensor.shape[dimension] {
                break;
            }
            at -= index[dimension] * tensor.stride[dimension];
            index[dimension] = 0;
        }
    }
    elements
}

fn make(
    storage: &[u8],
    tensor: &TensorRef,
    kind: Kind,
    big_endian: bool,
) -> std::result::Result<Tensor, String> {
    let width = kind.elt_size_in_bytes();
    let mut bytes = gather(storage, tensor, width);
    if big_endian {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    if kind == Kind::Bool
        && let Some(other) = bytes.iter().find(|&&byte| byte > 1)
    {
        return Err(format!("a bool has the value {other}"));
    }
    let shape: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
    Tensor::f_from_data_size(&bytes, &shape, kind).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view(offset: u64, shape: &[u64], stride: &[u64]) -> TensorRef {
        TensorRef {
            storage: 0,
            offset,
            shape: shape.to_vec(),
            stride: stride.to_vec(),
        }
    }

    #[test]
    fn views_beyond_the_storage_are_refused() {
        for (tensor, fits) in [
            (view(0, &[2, 3], &[3, 1]), true),
            (view(1, &[2, 3], &[3, 1]), false),
            (view(0, &[3, 2], &[1, 3]), true),
            (view(5, &[], &[]), true),
            (view(6, &[], &[]), false),
            (view(99, &[0, 4], &[4, 1]), true),
            (view(0, &[1 << 40], &[0]), true),
            (view(0, &[u64::MAX, 2], &[0, 0]), false),
            (view(0, &[1 << 62, 4], &[0, 0]), false),
            (view(0, &[2], &[u64::MAX]), false),
            (view(u64::MAX, &[2], &[1]), false),
        ] {
            assert_eq!(check(&tensor, 6).is_ok(), fits, "{tensor:?}");
        }
    }

    #[test]
    fn a_bool_is_0_or_1_and_big_ends_are_turned() {
        let tensor = view(0, &[2], &[1]);
        assert!(make(&[0, 1], &tensor, Kind::Bool, false).is_ok());
        let error = make(&[0, 2], &tensor, Kind::Bool, false).unwrap_err();
        assert!(error.contains("value 2"), "{error}");
        let turned = make(&[0, 1, 1, 0], &tensor, Kind::Int16, true).unwrap();
        assert_eq!(turned, Tensor::from_slice(&[1_i16, 256]));
    }

    proptest! {
        #[test]
        fn any_view_equals_that_of_libtorch(
            dims in proptest::collection::vec((1_u64..4, 0_u64..5), 0..4),
            offset in 0_u64..4,
        ) {
            let (shape, stride): (Vec<u64>, Vec<u64>) = dims.into_iter().unzip();
            let tensor = view(offset, &shape, &stride);
            let storage: Vec<i16> = (0..64).map(|i| i * 7).collect();
            prop_assert!(check(&tensor, 64).is_ok());
            let bytes: Vec<u8> = storage.iter().flat_map(|i| i.to_le_bytes()).collect();
            let ours = make(&bytes, &tensor, Kind::Int16, false).unwrap();
            let signed = |sizes: &[u64]| sizes.iter().map(|&s| s as i64).collect::<Vec<_>>();
            let theirs = Tensor::from_slice(&storage)
                .as_strided(signed(&shape), signed(&stride), offset as i64);
            prop_assert_eq!(ours, theirs.contiguous());
        }
    }
}
