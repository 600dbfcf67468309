//! Links of a receiver that add up to one.

use tch::{Kind, Tensor};

/// Divides links by their sum over senders. A row without links stays so.
///
/// # Shapes
/// - links: `[..., receivers, senders]`
/// - output: as links
pub fn normalize_links(links: &Tensor) -> Tensor {
    let sum = links.sum_dim_intlist([-1].as_slice(), true, None::<Kind>);
    let empty = sum.eq(0.0);
    links / sum.masked_fill(&empty, 1.0)
}

/// As [`normalize_links`] for logarithms of links.
///
/// # Shapes
/// - log_links: `[..., receivers, senders]`
/// - output: as log_links
pub fn normalize_log_links(log_links: &Tensor) -> Tensor {
    let empty = log_links.isneginf().all_dim(-1, true);
    let filled = log_links.masked_fill(&empty, 0.0);
    (log_links - filled.logsumexp([-1].as_slice(), true))
        .masked_fill(&log_links.isneginf(), f64::NEG_INFINITY)
}
