//! Cosine distances of signatures.

use tch::{Kind, Tensor};

use crate::error::{ModuleError, Result};

/// `1 − cos` of each receiver and each sender. With `square` there must be as many receivers as senders.
///
/// # Shapes
/// - receivers: `[receivers, dim]` or `[batch, receivers, dim]`; senders likewise
/// - output: `[receivers, senders]` or, if either is batched, `[batch, receivers, senders]`
pub(super) fn cosine_distance(
    receivers: &Tensor,
    senders: &Tensor,
    square: bool,
) -> Result<Tensor> {
    let (r, s) = (receivers.size(), senders.size());
    let ranks_fit = (2..=3).contains(&r.len()) && (2..=3).contains(&s.len());
    let refuse = |expected: String| {
        Err(ModuleError::Shape {
            op: "SignatureKernel",
            name: "sender signatures".into(),
            expected,
            found: senders.size(),
        })
    };
    if !ranks_fit || r.last() != s.last() || (r.len() == 3 && s.len() == 3 && r[0] != s[0]) {
        return refuse(format!(
            "[senders, dim] or [batch, senders, dim] to go with receivers {r:?}"
        ));
    }
    if square && r[r.len() - 2] != s[s.len() - 2] {
        return refuse(format!(
            "as many senders as receivers {r:?}, to eliminate the diagonal"
        ));
    }
    Ok(1.0 - unit(receivers).matmul(&unit(senders).transpose(-2, -1)))
}
/// True where receiver and sender have the same index, `[receivers, senders]`.
pub(super) fn diagonal(distance: &Tensor) -> Tensor {
    let size = distance.size();
    let [rows, columns] = [size[size.len() - 2], size[size.len() - 1]];
    let indices = |count| Tensor::arange(count, (Kind::Int64, distance.device()));
    indices(rows)
        .unsqueeze(1)
        .eq_tensor(&indices(columns).unsqueeze(0))
}

/// Rows scaled to length one, in at least single precision; a zero row stays zero.
fn unit(signatures: &Tensor) -> Tensor {
    let signatures = match signatures.kind() {
        Kind::Half | Kind::BFloat16 => signatures.to_kind(Kind::Float),
        _ => signatures.shallow_clone(),
    };
    let squares = signatures
        .square()
        .sum_dim_intlist([-1].as_slice(), true, None::<Kind>);
    signatures / squares.clamp_min(1e-24).sqrt()
}
