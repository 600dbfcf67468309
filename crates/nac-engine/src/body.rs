//! What comes after the tokenizer: a plan of layers, or the mean of the tokens.

use std::ops::Range;
use std::sync::Arc;

use super::circuit::{Buffers, Head, Observer, Plan, Plans, TokenCount};
use super::conditional::Conditional;
use super::error::Result;
use super::input::Inputs;
use super::scratch::ScratchSize;
use super::stem_only::StemOnly;
use super::thread_pool::Workers;

/// What comes after the tokenizer.
#[derive(Debug)]
pub(crate) enum Body {
    /// A circuit or a Perceiver IO.
    Plan(Box<Plan>),
    /// Circuits that a text changes.
    Conditional(Box<Conditional>),
    /// The stem-only baseline.
    StemOnly(Box<StemOnly>),
}

impl Body {
    /// The layers, if there are any; of circuits that a text changes, those of the weights alone.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Plan(plan) => Some(plan),
            Self::Conditional(circuit) => Some(circuit.base()),
            Self::StemOnly(_) => None,
        }
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        match self {
            Self::Plan(plan) => plan.scratch_size(),
            Self::Conditional(circuit) => circuit.scratch_size(),
            Self::StemOnly(stem) => stem.scratch_size(),
        }
    }

    /// Blocks of an example, the unit of work.
    pub(crate) fn blocks(&self) -> usize {
        match self {
            Self::Plan(plan) => plan.blocks(),
            Self::Conditional(circuit) => circuit.base().blocks(),
            Self::StemOnly(_) => 1,
        }
    }

    /// Items of an example among the outputs, and rows of a block of them.
    pub(crate) fn outputs(&self) -> (usize, usize) {
        match self {
            Self::StemOnly(stem) => (1, stem.rows()),
            Self::Plan(plan) => (plan.read_out.count, plan.output_rows()),
            Self::Conditional(circuit) => {
                let plan = circuit.base();
                (plan.read_out.count, plan.output_rows())
            }
        }
    }

    pub(crate) fn head(&self) -> &Head {
        match self {
            Self::Plan(plan) => &plan.head,
            Self::Conditional(circuit) => &circuit.base().head,
            Self::StemOnly(stem) => &stem.head,
        }
    }

    /// An error unless an example may have so many tokens.
    pub(crate) fn expect_tokens(&self, op: &'static str, tokens: usize) -> Result<()> {
        match self {
            Self::Plan(plan) => plan.expect_tokens(op, tokens),
            Self::Conditional(circuit) => circuit.base().expect_tokens(op, tokens),
            Self::StemOnly(_) => Ok(()),
        }
    }

    /// The circuits of some examples of checked inputs, into `plans`; none unless they differ.
    pub(crate) fn plans(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        examples: Range<usize>,
        plans: &mut Vec<Arc<Plan>>,
    ) -> Result<()> {
        match self {
            Self::Conditional(circuit) => circuit.plans(workers, inputs, examples, plans),
            Self::Plan(_) | Self::StemOnly(_) => Ok(()),
        }
    }

    /// From tokens to `outputs`, `[examples][blocks][rows]`; `each` are the [`plans`](Self::plans) of the examples.
    pub(crate) fn run(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        (count, each): (TokenCount, &[Arc<Plan>]),
        observer: Option<Observer<'_>>,
    ) {
        match self {
            Self::Plan(plan) => Plans::Shared(plan).run(workers, buffers, count, observer),
            Self::Conditional(circuit) => {
                let base = circuit.base();
                Plans::Each { each, base }.run(workers, buffers, count, observer);
            }
            Self::StemOnly(stem) => stem.run(workers, buffers, count, observer),
        }
    }
}
