//! [`Group`]: the processes of a run, as one of them sees them; [`Single`], the group of one.

use std::fmt::Debug;
use std::time::Duration;

use tch::Tensor;

use crate::error::Result;

/// The processes that train one model together. All of them call the same operations in the same order.
pub trait Group: Debug + Send + Sync {
    /// Number of this process, below [`size`](Self::size).
    fn rank(&self) -> usize;

    /// Number of processes, at least 1.
    fn size(&self) -> usize;

    /// Replaces `tensor` on every rank by that of rank `root`.
    ///
    /// # Errors
    /// The tensor is not contiguous on the CPU, or [`DistError::Lost`](crate::DistError::Lost).
    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<()>;

    /// Replaces `tensor` on every rank by the sum over all ranks, with the same bits on each.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    fn all_reduce(&self, tensor: &mut Tensor) -> Result<()>;

    /// As [`all_reduce`](Self::all_reduce) for `tensor` `[n]` in float32, with bfloat16 on the wire: terms and sum are
    /// rounded to 8 bits, the sum is taken in float32. The relative error is below 2⁻⁷ (a little above for subnormal
    /// numbers) of the sum of magnitudes, whatever the number of ranks.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    fn all_reduce_bf16(&self, tensor: &mut Tensor) -> Result<()>;

    /// The tensors of all ranks, `[n]` each, as `[size, n]` in their order.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    fn gather(&self, tensor: &Tensor) -> Result<Tensor>;

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// [`DistError::Lost`](crate::DistError::Lost) with the ranks that are gone, or not here after `timeout`.
    fn barrier(&self, timeout: Duration) -> Result<()>;
}

/// What each rank gives, in the order of ranks.
///
/// # Errors
/// As [`Group::broadcast`].
pub fn all_gather(group: &dyn Group, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    if group.size() == 1 {
        return Ok(vec![bytes.to_vec()]);
    }
    // Most messages fit into the first round: a length, and as many bytes.
    let mut first = vec![0; FIRST_ROUND];
    first[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    let fits = bytes.len().min(FIRST_ROUND - 8);
    first[8..8 + fits].copy_from_slice(&bytes[..fits]);
    let mut found = Vec::with_capacity(group.size());
    let mut longest = 0;
    for row in rows(group, &first)? {
        let (head, body) = row.split_at(8);
        let length = head
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        longest = longest.max(length);
        found.push((length, body.to_vec()));
    }
    if longest > FIRST_ROUND - 8 {
        let mut padded = bytes.to_vec();
        padded.resize(longest, 0);
        for ((_, body), row) in found.iter_mut().zip(rows(group, &padded)?) {
            *body = row;
        }
    }
    let cut = |(length, mut body): (usize, Vec<u8>)| {
        body.truncate(length);
        body
    };
    Ok(found.into_iter().map(cut).collect())
}

/// Bytes of the first round of [`all_gather`].
const FIRST_ROUND: usize = 2048;

/// As many bytes from each rank.
fn rows(group: &dyn Group, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let all = group.gather(&Tensor::f_from_slice(bytes)?)?;
    let all = Vec::<u8>::try_from(all.f_view([-1])?)?;
    Ok(all.chunks_exact(bytes.len()).map(<[u8]>::to_vec).collect())
}

/// The group of one process: nothing is sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Single;

impl Group for Single {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn broadcast(&self, _: &mut Tensor, _: usize) -> Result<()> {
        Ok(())
    }

    fn all_reduce(&self, _: &mut Tensor) -> Result<()> {
        Ok(())
    }

    fn all_reduce_bf16(&self, _: &mut Tensor) -> Result<()> {
        Ok(())
    }

    fn gather(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.f_unsqueeze(0)?)
    }

    fn barrier(&self, _: Duration) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_changes_nothing() {
        let group = Single;
        let mut tensor = Tensor::from_slice(&[1.0_f32, 2.5]);
        group.all_reduce(&mut tensor).unwrap();
        group.all_reduce_bf16(&mut tensor).unwrap();
        group.broadcast(&mut tensor, 0).unwrap();
        assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), [1.0, 2.5]);
        assert_eq!(group.gather(&tensor).unwrap().size(), [1, 2]);
        assert_eq!(all_gather(&group, b"ab").unwrap(), [b"ab"]);
    }
}
