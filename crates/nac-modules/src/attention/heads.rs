//! Splitting the feature dimension into heads and back.

use tch::Tensor;

/// `[batch, items, heads · dim]` to `[batch, heads, items, dim]`.
pub(super) fn split(x: &Tensor, heads: i64) -> Tensor {
    let size = x.size();
    x.reshape([size[0], size[1], heads, size[2] / heads])
        .transpose(1, 2)
}

/// `[batch, heads, items, dim]` to `[batch, items, heads · dim]`.
pub(super) fn merge(x: &Tensor) -> Tensor {
    let size = x.size();
    x.transpose(1, 2)
        .reshape([size[0], size[2], size[1] * size[3]])
}
