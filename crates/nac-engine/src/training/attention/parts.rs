//! The attention of all examples of a batch, in parts that do not depend on the number of threads: some heads of an example.

use super::columns::HeadParts;
use super::operands::{AttentionShape, Example, ExampleGradients, ExampleOutput};
use super::{backward, forward};
use crate::training::compute::{Buffer, Chunks, Compute};
use crate::training::partition::sum_parts;

/// Products of a query's and a key's numbers that a part has at least, if there are as many.
const WORK: usize = 1 << 23;

/// Most parts of an example. Each has gradients of links of its own.
const GROUPS: usize = 4;

/// A batch of this many examples has enough parts without.
const MANY: usize = 16;

/// How many groups the heads of an example are dealt out in.
pub(super) fn groups(shape: AttentionShape, batch: usize) -> usize {
    if batch >= MANY {
        return 1;
    }
    let work = shape.receivers * shape.senders * shape.width();
    let fits = |groups: &usize| shape.heads.is_multiple_of(*groups) && work >= groups * WORK;
    (2..=GROUPS).rev().find(fits).unwrap_or(1)
}

/// The heads of a group.
fn heads(shape: AttentionShape, groups: usize, group: usize) -> std::ops::Range<usize> {
    let count = shape.heads / groups;
    group * count..(group + 1) * count
}

/// Computes `out` and `log_sums` of a batch of examples.
///
/// # Shapes
/// - out: `[batch, receivers, heads · head_dim]`
/// - log_sums: `[batch, heads, receivers]`
pub(crate) fn forward_batch<'a>(
    compute: &Compute,
    (shape, batch): (AttentionShape, usize),
    example: impl Fn(usize) -> Example<'a> + Sync,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let groups = groups(shape, batch);
    let parts = (
        HeadParts::new(
            out,
            [batch, shape.receivers],
            [groups, shape.width() / groups],
        ),
        Chunks::new(log_sums, shape.heads / groups * shape.receivers),
    );
    compute.each(batch * groups, parts, |index, (out, log_sums), scratch| {
        let example = Example {
            heads: heads(shape, groups, index % groups),
            ..example(index / groups)
        };
        let (mut out, log_sums) = (out.columns(), log_sums.into_slice());
        forward(
            compute,
            &example,
            &mut out,
            log_sums,
            &mut scratch.attention,
        );
    });
}

/// Gradients of a batch.
#[derive(Debug)]
pub(crate) struct BatchGradients<'a> {
    /// `[batch, receivers, heads · head_dim]`
    pub(crate) queries: &'a mut [f32],
    /// `[batch, senders, heads · head_dim]`
    pub(crate) keys: &'a mut [f32],
    /// `[batch, senders, heads · head_dim]`
    pub(crate) values: &'a mut [f32],
    /// Of the links of one example, or of those of each, if they are wanted.
    pub(crate) links: Option<&'a mut [f32]>,
}

/// Overwrites `gradients`, of `links` links of each example; `partial` holds what is summed for them.
pub(crate) fn backward_batch<'a>(
    compute: &Compute,
    (shape, batch, links): (AttentionShape, usize, usize),
    example: impl Fn(usize) -> (Example<'a>, ExampleOutput<'a>) + Sync,
    gradients: BatchGradients<'_>,
    partial: &mut Buffer,
) {
    let (groups, mut total) = (groups(shape, batch), gradients.links);
    let shared = total
        .as_ref()
        .is_some_and(|total| total.len() != batch * links);
    let summed = shared || groups > 1;
    let d_links = match total.as_deref_mut() {
        Some(_) if summed => Some(partial.take(batch * groups * links)),
        other => other,
    };
    let columns = [groups, shape.width() / groups];
    let (own, other) = ([batch, shape.receivers], [batch, shape.senders]);
    let parts = (
        HeadParts::new(gradients.queries, own, columns),
        HeadParts::new(gradients.keys, other, columns),
        HeadParts::new(gradients.values, other, columns),
        d_links.map(|d_links| Chunks::new(d_links, links)),
    );
    compute.each(batch * groups, parts, |index, parts, scratch| {
        let (queries, keys, values, links) = parts;
        let (example, output) = example(index / groups);
        let example = Example {
            heads: heads(shape, groups, index % groups),
            ..example
        };
        let mut gradients = ExampleGradients {
            queries: queries.columns(),
            keys: keys.columns(),
            values: values.columns(),
            links: links.map(Chunks::into_slice),
        };
        let buffer = &mut scratch.attention;
        backward(compute, &example, &output, &mut gradients, buffer);
    });
    let Some(total) = total.filter(|_| summed && links > 0) else {
        return;
    };
    let partial = partial.take(batch * groups * links);
    let count = if shared { batch * groups } else { groups };
    for (total, partial) in total.chunks_mut(links).zip(partial.chunks(count * links)) {
        sum_parts(compute, partial, total);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_are_of_equal_size_and_worth_their_while(
            (receivers, senders) in (1_usize..2000, 1_usize..2000),
            (heads, head_dim) in (1_usize..17, 1_usize..300),
            batch in 1_usize..40,
        ) {
            let shape = AttentionShape { receivers, senders, heads, head_dim };
            let groups = groups(shape, batch);
            prop_assert!((1..=GROUPS).contains(&groups));
            prop_assert_eq!(heads % groups, 0);
            prop_assert!(groups == 1 || receivers * senders * shape.width() / groups >= WORK);
            prop_assert!(groups == 1 || batch < MANY);
            let all: Vec<usize> = (0..groups).flat_map(|group| super::heads(shape, groups, group)).collect();
            prop_assert_eq!(all, (0..heads).collect::<Vec<_>>());
        }
    }
}
