//! What comes after the tokenizer: a plan of layers, or the mean of the tokens.

use super::circuit::{Buffers, Head, Observer, Plan, TokenCount};
use super::error::Result;
use super::scratch::ScratchSize;
use super::stem_only::StemOnly;
use super::thread_pool::Workers;

/// What comes after the tokenizer.
#[derive(Debug)]
pub(crate) enum Body {
    /// A circuit or a Perceiver IO.
    Plan(Box<Plan>),
    /// The stem-only baseline.
    StemOnly(Box<StemOnly>),
}

impl Body {
    /// The layers, if there are any.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Plan(plan) => Some(plan),
            Self::StemOnly(_) => None,
        }
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        match self {
            Self::Plan(plan) => plan.scratch_size(),
            Self::StemOnly(stem) => stem.scratch_size(),
        }
    }

    /// Blocks of an example, the unit of work.
    pub(crate) fn blocks(&self) -> usize {
        match self {
            Self::Plan(plan) => plan.blocks(),
            Self::StemOnly(_) => 1,
        }
    }

    /// Items of an example among the outputs, and rows of a block of them.
    pub(crate) fn outputs(&self) -> (usize, usize) {
        match self {
            Self::Plan(plan) => (plan.read_out.count, plan.output_rows()),
            Self::StemOnly(stem) => (1, stem.rows()),
        }
    }

    pub(crate) fn head(&self) -> &Head {
        match self {
            Self::Plan(plan) => &plan.head,
            Self::StemOnly(stem) => &stem.head,
        }
    }

    /// An error unless an example may have so many tokens.
    pub(crate) fn expect_tokens(&self, op: &'static str, tokens: usize) -> Result<()> {
        match self {
            Self::Plan(plan) => plan.expect_tokens(op, tokens),
            Self::StemOnly(_) => Ok(()),
        }
    }

    /// From tokens to `outputs`, `[examples][blocks][rows]`.
    pub(crate) fn run(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        count: TokenCount,
        observer: Option<Observer<'_>>,
    ) {
        match self {
            Self::Plan(plan) => plan.run(workers, buffers, count, observer),
            Self::StemOnly(stem) => stem.run(workers, buffers, count, observer),
        }
    }
}
