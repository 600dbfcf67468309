//! The attention of each example in a [`Skmdpa`], forward and backward.

use super::attention::{BatchGradients, Example, ExampleOutput, backward_batch, forward_batch};
use super::compute::Compute;
use super::memory::Buffer;
use super::partition::sum_parts;
use super::skmdpa::{Skmdpa, SkmdpaOperands};

/// Messages and the logarithms of the softmax's sums.
pub(super) fn forward(block: &mut Skmdpa, compute: &Compute, operands: &SkmdpaOperands<'_>) {
    let shape = block.shape;
    let (messages, sums) = (
        shape.receivers * shape.inner(),
        shape.receivers * shape.heads,
    );
    block.messages.resize(shape.batch * messages, 0.0);
    block.log_sums.resize(shape.batch * sums, 0.0);
    let mut results = (
        std::mem::take(&mut block.messages),
        std::mem::take(&mut block.log_sums),
    );
    let sizes = (shape.attention(), shape.batch);
    let example = |index| example(block, operands, index);
    forward_batch(compute, sizes, example, &mut results.0, &mut results.1);
    (block.messages, block.log_sums) = results;
}

/// Memory for the gradients of each example, for their sums, and for those of links before they are summed.
pub(super) type AttendBuffers<'a> = (&'a mut [Buffer; 3], &'a mut [Buffer; 3], &'a mut Buffer);

/// Gradients of queries, keys and values from that of the messages, summed over examples where they share them; and that of
/// links.
pub(super) fn backward<'a>(
    block: &Skmdpa,
    compute: &Compute,
    operands: &SkmdpaOperands<'_>,
    (d_messages, d_links): (&[f32], Option<&mut [f32]>),
    (buffers, sums, link_buffer): AttendBuffers<'a>,
) -> [&'a [f32]; 3] {
    let (shape, batch) = (block.shape, block.shape.batch);
    let sizes = [shape.receivers, shape.senders, shape.senders].map(|rows| rows * shape.inner());
    let links = operands.links.count(shape.attention());
    let example = |index| {
        let output = ExampleOutput {
            out: part(&block.messages, index, sizes[0]),
            log_sums: part(&block.log_sums, index, shape.receivers * shape.heads),
            d_out: part(d_messages, index, sizes[0]),
        };
        (example(block, operands, index), output)
    };
    let [queries, keys, values] = &mut *buffers;
    let gradients = BatchGradients {
        queries: queries.take(batch * sizes[0]),
        keys: keys.take(batch * sizes[1]),
        values: values.take(batch * sizes[2]),
        links: d_links,
    };
    let all = (shape.attention(), batch, links);
    backward_batch(compute, all, example, gradients, link_buffer);
    let mut results = buffers
        .iter_mut()
        .zip(sums)
        .zip(sizes.iter().zip(&block.projected));
    std::array::from_fn(|_| match results.next() {
        Some(((all, sum), (size, projected))) if projected.len() == *size => {
            let sum = sum.take(*size);
            sum_parts(compute, all.take(batch * size), sum);
            &*sum
        }
        Some(((all, _), (size, _))) => &*all.take(batch * size),
        None => &[],
    })
}

fn example<'a>(block: &'a Skmdpa, operands: &SkmdpaOperands<'a>, index: usize) -> Example<'a> {
    let shape = block.shape;
    let [queries, keys, values] = &block.projected;
    let inner = shape.inner();
    Example {
        shape: shape.attention(),
        heads: 0..shape.heads,
        queries: part(queries, index, shape.receivers * inner),
        keys: part(keys, index, shape.senders * inner),
        values: part(values, index, shape.senders * inner),
        links: operands.links.of_example(shape.attention(), index),
        mask: operands.mask.map(|mask| part(mask, index, shape.senders)),
    }
}

/// The part of one example, or all of it if it is as large as one.
fn part<T>(all: &[T], index: usize, size: usize) -> &[T] {
    let first = if all.len() == size { 0 } else { index * size };
    &all[first..first + size]
}
