//! Matrix products as shapes, with their operations and the bytes they must move.

use std::iter::Sum;
use std::ops::{Add, Mul};

use serde::Serialize;

/// Work that grows with the number of examples, or work of a call. What is more than a `u64` holds stays at its
/// greatest value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Floating-point operations of matrix products and convolutions; a multiply-add is two.
    pub flops: u64,
    /// Exponentials and error functions: those of softmax, GELU and link probabilities.
    pub special: u64,
    /// Bytes that products read and write, each operand once, at four bytes a value; weights not among them.
    pub bytes: u64,
    /// Bytes of weights at four bytes a value, read once for a whole batch.
    pub weight_bytes: u64,
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            flops: self.flops.saturating_add(other.flops),
            special: self.special.saturating_add(other.special),
            bytes: self.bytes.saturating_add(other.bytes),
            weight_bytes: self.weight_bytes.saturating_add(other.weight_bytes),
        }
    }
}

/// The same work repeated, each time with separate weights.
impl Mul<usize> for Work {
    type Output = Self;

    fn mul(self, times: usize) -> Self {
        let times = times as u64;
        Self {
            flops: self.flops.saturating_mul(times),
            special: self.special.saturating_mul(times),
            bytes: self.bytes.saturating_mul(times),
            weight_bytes: self.weight_bytes.saturating_mul(times),
        }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(works: I) -> Self {
        works.fold(Self::default(), Add::add)
    }
}

/// `[rows, inner] × [inner, columns]`, where the second is a weight.
pub(super) fn linear(rows: usize, inner: usize, columns: usize) -> Work {
    let (rows, inner, columns) = (rows as u64, inner as u64, columns as u64);
    Work {
        flops: (2 * rows).saturating_mul(inner).saturating_mul(columns),
        special: 0,
        bytes: 4 * (rows * inner + rows * columns),
        weight_bytes: 4 * inner * columns,
    }
}

/// `[rows, inner] × [inner, columns]`, where both are activations.
pub(super) fn product(rows: usize, inner: usize, columns: usize) -> Work {
    let work = linear(rows, inner, columns);
    Work {
        bytes: work.bytes + work.weight_bytes,
        weight_bytes: 0,
        ..work
    }
}

/// A convolution of `size` × `size` for `positions` outputs; `inputs` channels reach each of `outputs` channels.
///
/// Its input is taken to be as large as the image or map it reads once: `read` values.
pub(super) fn convolution(
    positions: usize,
    size: usize,
    (inputs, outputs): (usize, usize),
    read: usize,
) -> Work {
    let inner = inputs * size * size;
    Work {
        bytes: 4 * (read + positions * outputs) as u64,
        ..linear(positions, inner, outputs)
    }
}

/// So many exponentials or error functions.
pub(super) fn special(count: usize) -> Work {
    Work {
        special: count as u64,
        ..Work::default()
    }
}

/// Attention with `heads` heads of `dim`: scores, softmax, weighted sum. Keys, values, queries and result pass through
/// memory; scores need not.
pub(super) fn attention(receivers: usize, senders: usize, heads: usize, dim: usize) -> Work {
    let inner = heads * dim;
    Work {
        flops: product(receivers, inner, senders).flops.saturating_mul(2),
        special: (heads * receivers * senders) as u64,
        bytes: (4 * 2 * inner * (receivers + senders)) as u64,
        weight_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_counts_each_operand_once() {
        let work = linear(2, 3, 5);
        assert_eq!((work.flops, work.bytes, work.weight_bytes), (60, 64, 60));
        assert_eq!(product(2, 3, 5).bytes, 124);
    }

    #[test]
    fn attention_is_two_products_per_head() {
        let work = attention(2, 3, 4, 5);
        assert_eq!(work.flops, 2 * 2 * 2 * 3 * 20);
        assert_eq!((work.special, work.bytes), (24, 4 * 2 * 20 * 5));
    }
}
