//! The attention of all examples of a batch, example by example.

use super::AttentionShape;
use super::graph::EdgeGraph;
use super::operands::{Example, ExampleLinks, ExampleOutput};
use super::parts::{BatchGradients, backward_batch, forward_batch};
use crate::error::{EngineError, Result};
use crate::training::compute::{Buffer, Compute};

const OP: &str = "Attention";

/// Logarithms of the links of a batch, added to the scores of every head.
#[derive(Debug, Clone, Copy)]
pub enum Links<'a> {
    /// Everything is linked, and nothing is added.
    None,
    /// `[receivers, senders]`, the same for every example; −∞ is no link.
    Shared(&'a [f32]),
    /// `[batch, receivers, senders]`; −∞ is no link.
    PerExample(&'a [f32]),
    /// Only these links.
    Edges {
        /// Between whom.
        graph: &'a EdgeGraph,
        /// `[edges]`, the same for every example, or `[batch, edges]`.
        log: &'a [f32],
    },
}

impl<'a> Links<'a> {
    /// Number of links of one example.
    pub(crate) fn count(&self, shape: AttentionShape) -> usize {
        match self {
            Self::None => 0,
            Self::Shared(_) | Self::PerExample(_) => shape.receivers * shape.senders,
            Self::Edges { graph, .. } => graph.edges(),
        }
    }

    /// Whether every example has the same links, although there are several examples.
    pub(crate) fn is_shared(&self, shape: AttentionShape, batch: usize) -> bool {
        match self {
            Self::None | Self::PerExample(_) => false,
            Self::Shared(_) => batch != 1,
            Self::Edges { log, .. } => log.len() != batch * self.count(shape),
        }
    }

    /// Those of one example.
    pub(crate) fn of_example(&self, shape: AttentionShape, example: usize) -> ExampleLinks<'a> {
        let count = self.count(shape);
        let own = example * count..(example + 1) * count;
        match *self {
            Self::None => ExampleLinks::None,
            Self::Shared(log) => ExampleLinks::Dense(log),
            Self::PerExample(log) => ExampleLinks::Dense(&log[own]),
            Self::Edges { graph, log } => ExampleLinks::Edges {
                graph,
                log: if log.len() == count { log } else { &log[own] },
            },
        }
    }

    /// Refuses links that are not between these receivers and senders.
    pub(crate) fn check(
        &self,
        op: &'static str,
        shape: AttentionShape,
        batch: usize,
    ) -> Result<()> {
        let AttentionShape {
            receivers, senders, ..
        } = shape;
        match *self {
            Self::None => Ok(()),
            Self::Shared(log) => {
                EngineError::check_length(op, "links", log.len(), &[receivers, senders])
            }
            Self::PerExample(log) => {
                EngineError::check_length(op, "links", log.len(), &[batch, receivers, senders])
            }
            Self::Edges { graph, log } => {
                let found = [graph.receivers(), graph.senders()];
                if found != [receivers, senders] {
                    let expected =
                        format!("a graph of {receivers} receivers and {senders} senders");
                    let found = format!("one of {found:?}");
                    return Err(EngineError::Input {
                        op,
                        expected,
                        found,
                    });
                }
                if log.len() == graph.edges() {
                    return Ok(());
                }
                EngineError::check_length(op, "links", log.len(), &[batch, graph.edges()])
            }
        }
    }
}

/// Operands of the attention of a batch.
#[derive(Debug, Clone, Copy)]
pub struct AttentionOperands<'a> {
    /// `[batch, receivers, heads · head_dim]`
    pub queries: &'a [f32],
    /// `[batch, senders, heads · head_dim]`
    pub keys: &'a [f32],
    /// `[batch, senders, heads · head_dim]`
    pub values: &'a [f32],
    /// Who is linked with whom.
    pub links: Links<'a>,
    /// `[batch, senders]`, false for padding, which nobody attends to. All of it has equal weights where there is nothing else.
    pub mask: Option<&'a [bool]>,
}

/// Results of the forward pass that the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub struct AttentionOutput<'a> {
    /// `[batch, receivers, heads · head_dim]`
    pub out: &'a [f32],
    /// `[batch, heads, receivers]`: logarithms to base two of the sums in the softmax.
    pub log_sums: &'a [f32],
}

/// Gradients of [`AttentionOperands`], in their shapes.
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// Gradient of the queries.
    pub queries: &'a mut [f32],
    /// Gradient of the keys.
    pub keys: &'a mut [f32],
    /// Gradient of the values.
    pub values: &'a mut [f32],
    /// Gradient of the logarithms of links, if it is wanted.
    pub links: Option<&'a mut [f32]>,
}

/// Multi-head attention of a batch, made once and used for every step.
#[derive(Debug)]
pub struct Attention {
    batch: usize,
    shape: AttentionShape,
    /// Gradients of links before they are summed.
    partial: Buffer,
}

impl Attention {
    /// Attention of `batch` examples.
    pub fn new(batch: usize, shape: AttentionShape) -> Self {
        Self {
            batch,
            shape,
            partial: Buffer::default(),
        }
    }

    /// Computes `out` and `log_sums`.
    ///
    /// # Shapes
    /// - out: `[batch, receivers, heads · head_dim]`
    /// - log_sums: `[batch, heads, receivers]`
    ///
    /// # Errors
    /// [`EngineError::Length`] if a slice has another shape, [`EngineError::Input`] if the graph has.
    pub fn forward(
        &self,
        compute: &Compute,
        operands: &AttentionOperands<'_>,
        out: &mut [f32],
        log_sums: &mut [f32],
    ) -> Result<()> {
        self.check(operands)?;
        self.check_output(out.len(), log_sums.len())?;
        let example = |index| self.example(operands, index);
        forward_batch(compute, (self.shape, self.batch), example, out, log_sums);
        Ok(())
    }

    /// Overwrites `gradients`, given the gradient `d_out` of `out`.
    ///
    /// # Shapes
    /// - d_out: `[batch, receivers, heads · head_dim]`
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn backward(
        &mut self,
        compute: &Compute,
        operands: &AttentionOperands<'_>,
        output: &AttentionOutput<'_>,
        d_out: &[f32],
        gradients: &mut AttentionGradients<'_>,
    ) -> Result<()> {
        self.check(operands)?;
        self.check_output(output.out.len(), output.log_sums.len())?;
        self.check_gradients(operands, d_out, gradients)?;
        let AttentionShape {
            receivers, heads, ..
        } = self.shape;
        let (width, links) = (self.shape.width(), operands.links.count(self.shape));
        let mut partial = std::mem::take(&mut self.partial);
        let this = &*self;
        let example = |index| {
            let output = ExampleOutput {
                out: part(output.out, index, receivers * width),
                log_sums: part(output.log_sums, index, receivers * heads),
                d_out: part(d_out, index, receivers * width),
            };
            (this.example(operands, index), output)
        };
        let gradients = BatchGradients {
            queries: &mut *gradients.queries,
            keys: &mut *gradients.keys,
            values: &mut *gradients.values,
            links: gradients.links.as_deref_mut(),
        };
        let sizes = (self.shape, self.batch, links);
        backward_batch(compute, sizes, example, gradients, &mut partial);
        self.partial = partial;
        Ok(())
    }

    fn example<'a>(&self, operands: &AttentionOperands<'a>, index: usize) -> Example<'a> {
        let AttentionShape {
            receivers, senders, ..
        } = self.shape;
        let width = self.shape.width();
        Example {
            shape: self.shape,
            heads: 0..self.shape.heads,
            queries: part(operands.queries, index, receivers * width),
            keys: part(operands.keys, index, senders * width),
            values: part(operands.values, index, senders * width),
            links: operands.links.of_example(self.shape, index),
            mask: operands.mask.map(|mask| part(mask, index, senders)),
        }
    }

    fn check(&self, operands: &AttentionOperands<'_>) -> Result<()> {
        let AttentionShape {
            receivers, senders, ..
        } = self.shape;
        let (batch, width) = (self.batch, self.shape.width());
        let check = |name, found: usize, items| {
            EngineError::check_length(OP, name, found, &[batch, items, width])
        };
        check("queries", operands.queries.len(), receivers)?;
        check("keys", operands.keys.len(), senders)?;
        check("values", operands.values.len(), senders)?;
        if let Some(mask) = operands.mask {
            EngineError::check_length(OP, "mask", mask.len(), &[batch, senders])?;
        }
        operands.links.check(OP, self.shape, batch)
    }

    fn check_output(&self, out: usize, log_sums: usize) -> Result<()> {
        let AttentionShape {
            receivers, heads, ..
        } = self.shape;
        let (batch, width) = (self.batch, self.shape.width());
        EngineError::check_length(OP, "out", out, &[batch, receivers, width])?;
        EngineError::check_length(OP, "log_sums", log_sums, &[batch, heads, receivers])
    }

    fn check_gradients(
        &self,
        operands: &AttentionOperands<'_>,
        d_out: &[f32],
        gradients: &AttentionGradients<'_>,
    ) -> Result<()> {
        let AttentionShape {
            receivers, senders, ..
        } = self.shape;
        let (batch, width) = (self.batch, self.shape.width());
        let check = |name, found: &[f32], items| {
            EngineError::check_length(OP, name, found.len(), &[batch, items, width])
        };
        check("d_out", d_out, receivers)?;
        check("gradient of queries", gradients.queries, receivers)?;
        check("gradient of keys", gradients.keys, senders)?;
        check("gradient of values", gradients.values, senders)?;
        if let Some(links) = &gradients.links {
            let count = operands.links.count(self.shape);
            let shared = operands.links.is_shared(self.shape, batch);
            let examples = if shared { 1 } else { batch };
            EngineError::check_length(OP, "gradient of links", links.len(), &[examples, count])?;
        }
        Ok(())
    }
}

/// The part of one example.
fn part<T>(all: &[T], index: usize, size: usize) -> &[T] {
    &all[index * size..(index + 1) * size]
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
