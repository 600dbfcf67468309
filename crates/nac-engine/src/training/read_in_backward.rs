//! The backward pass of [`ReadInAttention`].

use super::attention::{self, Columns, ExampleGradients, ExampleOutput};
use super::compute::{Chunks, Compute};
use super::exit::ExitBackward;
use super::finish::branch_gradient;
use super::memory::{FinishMemory, ReadInMemory, Workspace};
use super::norm_project_backward::{NormProjectGradients, norm_gradient};
use super::operands::{Items, NormGradient, ProjectionGradient, no_forward};
use super::partition::{Partition, RowParts, Span, sum_parts};
use super::product::column_sums;
use super::read_in::{OP, ReadInAttention, ReadInGradients, ReadInOperands, ReadInShape, queries};
use super::read_in_forward::{self, copy_rows, token_partition, unscaled_rows};
use super::rows::{
    AddTo, AffineBackward, Combine, NormalizeAgain, NormalizeBackward, Rows, Scale, ScaleBackward,
};
use super::scale_gradient::ScaleGradient;
use crate::error::{EngineError, Result};

impl ReadInAttention {
    /// Gradients, after [`Self::forward`] with the same operands.
    ///
    /// # Shapes
    /// - d_y: `[batch, modules, state]`
    ///
    /// # Errors
    /// A slice has another shape, or there was no forward pass since the last backward pass.
    pub fn backward(
        &mut self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        d_y: &[f32],
        gradients: &mut ReadInGradients<'_>,
    ) -> Result<()> {
        self.check(operands)?;
        let expected = [self.shape.batch, self.shape.modules, self.shape.state];
        EngineError::check_length(OP, "gradient of y", d_y.len(), &expected)?;
        self.check_gradients(operands, gradients)?;
        if !std::mem::take(&mut self.ready) {
            return Err(no_forward(OP));
        }
        compute.with_workspace(|workspace| {
            self.gradients(compute, operands, d_y, gradients, workspace);
        });
        Ok(())
    }

    fn check_gradients(
        &self,
        operands: &ReadInOperands<'_>,
        gradients: &ReadInGradients<'_>,
    ) -> Result<()> {
        let lengths = [
            (
                &gradients.states,
                "gradient of the states",
                operands.states.values,
            ),
            (&gradients.tokens, "gradient of the tokens", operands.tokens),
        ];
        for (gradient, name, of) in lengths {
            if let Some(gradient) = gradient {
                EngineError::check_length(OP, name, gradient.len(), &[of.len()])?;
            }
        }
        gradients.receiver_norm.check(OP, self.shape.state)?;
        gradients.sender_norm.check(OP, self.shape.token_dim)?;
        gradients.query.check(OP, &operands.query)?;
        gradients.key.check(OP, &operands.key)?;
        gradients.value.check(OP, &operands.value)?;
        gradients.exit.check(OP, &operands.exit)
    }

    fn gradients(
        &self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        d_y: &[f32],
        gradients: &mut ReadInGradients<'_>,
        workspace: &mut Workspace,
    ) {
        let (shape, items) = (self.shape, self.shape.items());
        let FinishMemory {
            d_branch,
            scaled,
            d_scale,
        } = &mut workspace.finish;
        let d_messages = &mut workspace.attend.d_messages;
        let d_messages = d_messages.take(items.rows() * shape.heads().inner());
        let exit = ExitBackward {
            weight: self.exit,
            projection: &operands.exit,
            items,
            messages: &self.messages,
            d_branch: branch_gradient(compute, operands.keep, d_y, d_branch),
        };
        exit.run(compute, &mut gradients.exit, d_messages, (scaled, d_scale));
        let memory = &mut workspace.read_in;
        self.values(compute, operands, d_messages, &mut gradients.value, memory);
        let (d_tokens, norm) = (gradients.tokens.as_deref_mut(), &mut gradients.sender_norm);
        self.attend(compute, operands, (d_tokens, norm), memory);
        self.keys(compute, operands, &mut gradients.key, memory);
        let query = queries(operands);
        let size = items.modules * shape.heads().inner();
        let folded = self.folded_batch(operands);
        let all = memory.d_queries.take(folded * size);
        let d_queries = if self.query.items(&query).batch == folded {
            &*all
        } else {
            let sum = memory.queries_sum.take(size);
            sum_parts(compute, all, sum);
            &*sum
        };
        let mut outer = NormProjectGradients {
            states: gradients.states.as_deref_mut(),
            norm: gradients.receiver_norm.reborrow(),
            projections: [&mut gradients.query],
        };
        let d_y = shape.residual.then_some(d_y);
        let memory = &mut workspace.receivers;
        self.query
            .backward(compute, &query, [d_queries], d_y, &mut outer, memory);
    }

    /// From messages to what was read.
    fn values(
        &self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        d_messages: &[f32],
        gradient: &mut ProjectionGradient<'_>,
        memory: &mut ReadInMemory,
    ) {
        let (shape, items, heads) = (self.shape, self.shape.items(), self.shape.heads());
        let (wide, partition) = (heads.wide(), Partition::new(items));
        let value = &operands.value;
        let scale = ScaleGradient::new(value, items, shape.token_dim, items.batch);
        let factor = value.scale_rows(shape.token_dim);
        let scaled_width = if factor.is_some() { wide } else { 0 };
        let scaled = memory.scaled.take(items.rows() * scaled_width);
        let parts = (
            partition.rows(memory.d_read.take(self.read.len()), wide),
            partition.rows(&mut *scaled, scaled_width),
            scale.parts(gradient.scale.as_deref_mut(), &mut memory.d_scale),
        );
        compute.each(
            partition.parts(),
            parts,
            |index, (d_read, scaled, sums), scratch| {
                let span = partition.span(index);
                let (d_read, scaled) = (d_read.into_slice(), scaled.into_slice());
                let mut sums = zeroed(sums);
                for part in span.blocks() {
                    let own = part.within(span.first, wide);
                    let d_messages = &d_messages[part.within(0, heads.inner())];
                    let Some((factor, d_factor)) = factor.zip(sums.as_deref_mut()) else {
                        heads.widen(compute, d_messages, value.weight, &mut d_read[own]);
                        continue;
                    };
                    let x = &self.read[part.within(0, wide)];
                    let d_z = scratch.rows.take(x.len());
                    heads.widen(compute, d_messages, value.weight, d_z);
                    let y = &mut scaled[own.clone()];
                    let (first, repeat) = (part.first, shape.heads);
                    compute.arch().dispatch(Scale {
                        x,
                        factor,
                        first,
                        repeat,
                        y,
                    });
                    compute.arch().dispatch(ScaleBackward {
                        d_z,
                        x,
                        factor,
                        first,
                        repeat,
                        d_x: &mut d_read[own],
                        add: false,
                        d_factor,
                        first_sum: part.first - span.first,
                    });
                }
            },
        );
        let read = if factor.is_some() {
            &*scaled
        } else {
            &*self.read
        };
        heads.weight_gradient(compute, d_messages, read, gradient.weight);
        if let Some(bias) = gradient.bias.as_deref_mut() {
            column_sums(compute, d_messages, bias);
        }
        scale.sum(compute, gradient.scale.as_deref_mut(), &mut memory.d_scale);
    }

    /// From what was read to folded queries and tokens.
    fn attend(
        &self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        (d_tokens, norm): (Option<&mut [f32]>, &mut NormGradient<'_>),
        memory: &mut ReadInMemory,
    ) {
        let (shape, wide) = (self.shape, self.shape.heads().wide());
        let tokens = memory.tokens.take(operands.tokens.len());
        self.normalize_again(compute, operands, tokens);
        let (rows, size) = (shape.modules * wide, shape.tokens * shape.token_dim);
        let d_read = &*memory.d_read.take(self.read.len());
        let d_folded = memory.d_folded.take(self.read.len());
        let d_tokens = d_tokens.unwrap_or_else(|| memory.d_tokens.take(operands.tokens.len()));
        let d_norm = memory.d_norm.take(shape.batch * 2 * shape.token_dim);
        let parts = (
            Chunks::new(&mut *d_folded, rows),
            Chunks::new(d_tokens, size),
            Chunks::new(&mut *d_norm, 2 * shape.token_dim),
        );
        let tokens = &*tokens;
        compute.each(
            shape.batch,
            parts,
            |index, (d_folded, d_tokens, sums), scratch| {
                let part = Span {
                    first: index * shape.modules,
                    rows: shape.modules,
                };
                let example = read_in_forward::example(self, operands, (index, part), tokens);
                let output = ExampleOutput {
                    out: &self.read[part.within(0, wide)],
                    log_sums: &self.log_sums[part.within(0, shape.heads)],
                    d_out: &d_read[part.within(0, wide)],
                };
                let [keys, values] = scratch.rows.parts([size; 2]);
                let mut gradients = ExampleGradients {
                    queries: Columns::all(d_folded.into_slice(), shape.token_dim),
                    keys: Columns::all(&mut *keys, shape.token_dim),
                    values: Columns::all(&mut *values, shape.token_dim),
                    links: None,
                };
                let buffer = &mut scratch.attention;
                attention::backward(compute, &example, &output, &mut gradients, buffer);
                compute.arch().dispatch(AddTo { x: keys, y: values });
                let sums = sums.into_slice();
                sums.fill(0.0);
                self.token_gradient(
                    compute,
                    operands,
                    index,
                    (values, d_tokens.into_slice(), sums),
                );
            },
        );
        norm_gradient(compute, d_norm, norm);
        if self.folded.len() == rows && shape.batch > 1 {
            sum_parts(compute, d_folded, memory.folded_sum.take(rows));
        }
    }

    /// Through the layer norm of the tokens of one example.
    fn token_gradient(
        &self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        example: usize,
        (d_y, d_x, sums): (&[f32], &mut [f32], &mut [f32]),
    ) {
        let ReadInShape {
            tokens, token_dim, ..
        } = self.shape;
        let (d_gain, d_bias) = sums.split_at_mut(token_dim);
        compute.arch().dispatch(NormalizeBackward {
            x: Rows {
                data: operands.tokens,
                width: token_dim,
            },
            first: example * tokens,
            statistics: &self.token_statistics[example * tokens * 2..],
            d_y,
            added: None,
            d_x,
            affine: Some(AffineBackward {
                gain: operands.sender_norm.gain,
                d_gain,
                d_bias,
            }),
        });
    }

    fn normalize_again(&self, compute: &Compute, operands: &ReadInOperands<'_>, y: &mut [f32]) {
        let width = self.shape.token_dim;
        let partition = token_partition(self);
        let parts = partition.rows(y, width);
        compute.each(partition.parts(), parts, |index, y: RowParts<'_>, _| {
            let span = partition.span(index);
            compute.arch().dispatch(NormalizeAgain {
                x: Rows {
                    data: operands.tokens,
                    width,
                },
                first: span.first,
                affine: Some(operands.sender_norm.pair()),
                statistics: &self.token_statistics[span.within(0, 2)],
                y: y.into_slice(),
            });
        });
    }

    /// From folded queries to queries.
    fn keys(
        &self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        gradient: &mut ProjectionGradient<'_>,
        memory: &mut ReadInMemory,
    ) {
        let (shape, heads, key) = (self.shape, self.shape.heads(), &operands.key);
        let batch = self.folded_batch(operands);
        let items = Items {
            batch,
            ..shape.items()
        };
        let (wide, inner, partition) = (heads.wide(), heads.inner(), Partition::new(items));
        let summed = batch < shape.batch;
        let d_folded = if summed {
            &mut memory.folded_sum
        } else {
            &mut memory.d_folded
        };
        let d_folded = &*d_folded.take(items.rows() * wide);
        let scale = ScaleGradient::new(key, shape.items(), shape.token_dim, batch);
        let d_unscaled = memory.d_read.take(items.rows() * wide);
        let d_queries = memory.d_queries.take(items.rows() * inner);
        let repeated = memory.repeated.take(items.rows() * inner);
        let parts = (
            partition.rows(&mut *d_unscaled, wide),
            partition.rows(d_queries, inner),
            partition.rows(&mut *repeated, inner),
            scale.parts(gradient.scale.as_deref_mut(), &mut memory.d_scale),
        );
        let arch = compute.arch();
        compute.each(partition.parts(), parts, |index, parts, scratch| {
            let span = partition.span(index);
            let (d_unscaled, d_queries, queries, sums) = parts;
            let [d_unscaled, d_queries, queries] =
                [d_unscaled, d_queries, queries].map(RowParts::into_slice);
            let mut sums = zeroed(sums);
            for part in span.blocks() {
                let d_x = &mut d_unscaled[part.within(span.first, wide)];
                let d_z = &d_folded[part.within(0, wide)];
                let queries = &mut queries[part.within(span.first, inner)];
                copy_rows(&self.queries, inner, part, queries);
                let factor = key.scale_rows(shape.token_dim);
                if let Some((factor, d_factor)) = factor.zip(sums.as_deref_mut()) {
                    let x = scratch.rows.take(d_z.len());
                    unscaled_rows(self, (compute, operands), queries, x);
                    arch.dispatch(ScaleBackward {
                        d_z,
                        x,
                        factor,
                        first: part.first,
                        repeat: shape.heads,
                        d_x: &mut *d_x,
                        add: false,
                        d_factor,
                        first_sum: part.first - span.first,
                    });
                } else {
                    d_x.copy_from_slice(d_z);
                }
                arch.dispatch(Combine {
                    x: None,
                    first: 0,
                    factor: shape.score_factor(),
                    width: wide,
                    y: &mut *d_x,
                });
                let d_queries = &mut d_queries[part.within(span.first, inner)];
                heads.narrow(compute, d_x, (&self.transposed[0], None), d_queries);
            }
        });
        heads.weight_gradient(compute, repeated, d_unscaled, gradient.weight);
        if let Some(bias) = gradient.bias.as_deref_mut() {
            bias.fill(0.0);
        }
        scale.sum(compute, gradient.scale.as_deref_mut(), &mut memory.d_scale);
    }
}

/// Sums that start with zero.
fn zeroed(sums: Option<RowParts<'_>>) -> Option<&mut [f32]> {
    sums.map(|sums| {
        let sums = sums.into_slice();
        sums.fill(0.0);
        sums
    })
}
