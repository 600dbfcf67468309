//! The attention of each example in a [`Skmdpa`], forward and backward.

use super::attention::{self, Example, ExampleGradients, ExampleOutput};
use super::compute::{Chunks, Compute};
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
    let parts = (
        Chunks::new(&mut results.0, messages),
        Chunks::new(&mut results.1, sums),
    );
    compute.each(shape.batch, parts, |index, (out, sums), scratch| {
        let example = example(block, operands, index);
        let (out, sums) = (out.into_slice(), sums.into_slice());
        attention::forward(compute, &example, out, sums, &mut scratch.attention);
    });
    (block.messages, block.log_sums) = results;
}

/// Memory for the gradients of each example, for their sums, and for those of shared links of each example.
pub(super) type AttendBuffers<'a> = (&'a mut [Buffer; 3], &'a mut [Buffer; 3], &'a mut Buffer);

/// Gradients of queries, keys and values from that of the messages, summed over examples where they share them; and that of
/// links.
pub(super) fn backward<'a>(
    block: &Skmdpa,
    compute: &Compute,
    operands: &SkmdpaOperands<'_>,
    (d_messages, mut d_links): (&[f32], Option<&mut [f32]>),
    (buffers, sums, link_buffer): AttendBuffers<'a>,
) -> [&'a [f32]; 3] {
    let (shape, batch) = (block.shape, block.shape.batch);
    let sizes = [shape.receivers, shape.senders, shape.senders].map(|rows| rows * shape.inner());
    let links = operands.links.count(shape.attention());
    let shared_links = operands.links.is_shared(shape.attention(), batch);
    let each_link = match d_links.as_deref_mut() {
        Some(_) if shared_links => Some(link_buffer.take(batch * links)),
        other => other,
    };
    let [queries, keys, values] = &mut *buffers;
    let parts = (
        Chunks::new(queries.take(batch * sizes[0]), sizes[0]),
        Chunks::new(keys.take(batch * sizes[1]), sizes[1]),
        Chunks::new(values.take(batch * sizes[2]), sizes[2]),
        each_link.map(|all| Chunks::new(all, links)),
    );
    compute.each(
        batch,
        parts,
        |index, (queries, keys, values, links), scratch| {
            let example = example(block, operands, index);
            let output = ExampleOutput {
                out: part(&block.messages, index, sizes[0]),
                log_sums: part(&block.log_sums, index, shape.receivers * shape.heads),
                d_out: part(d_messages, index, sizes[0]),
            };
            let mut gradients = ExampleGradients {
                queries: queries.into_slice(),
                keys: keys.into_slice(),
                values: values.into_slice(),
                links: links.map(Chunks::into_slice),
            };
            attention::backward(
                compute,
                &example,
                &output,
                &mut gradients,
                &mut scratch.attention,
            );
        },
    );
    if let Some(d_links) = d_links.filter(|_| shared_links) {
        sum_parts(compute, link_buffer.take(batch * links), d_links);
    }
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
