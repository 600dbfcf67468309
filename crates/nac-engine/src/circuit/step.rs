//! What one block of modules goes through in a layer: attention, then the feed-forward block.

use crate::attention::{Attention, KeyValues};
use crate::backend::Backend;
use crate::layer::{FeedForward, Modulation, Projection, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;

/// How modules take in what they read.
#[derive(Debug, Clone)]
pub(crate) enum InputMixer {
    /// By attention.
    Attention(Box<Attention>),
    /// Module `i` projects token `i` (projection read-in) and ignores its state.
    Projection(Box<(Projection, Modulation)>),
}

/// Input mixer and feed-forward block of one set of modules.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) input_mixer: InputMixer,
    pub(crate) feed_forward: Option<FeedForward>,
}

impl Step {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let mixer = match &self.input_mixer {
            InputMixer::Attention(attention) => attention.scratch_size(),
            InputMixer::Projection(projection) => ScratchSize {
                operand: projection.0.input_rows(),
                ..ScratchSize::default()
            },
        };
        match &self.feed_forward {
            Some(feed_forward) => feed_forward.scratch_size().max(mixer),
            None => mixer,
        }
    }

    /// Number of edges, if the attention goes over edges.
    pub(crate) fn edges(&self) -> Option<usize> {
        match &self.input_mixer {
            InputMixer::Attention(attention) => attention.connections.edges(),
            InputMixer::Projection(_) => None,
        }
    }

    /// Updates the states of some blocks, the first of which is block `first`, from `sources`.
    pub(crate) fn apply(
        &self,
        backend: &Backend,
        first: usize,
        states: &mut [Row],
        sources: &[KeyValues<'_>],
        scratch: &mut Scratch,
    ) {
        match &self.input_mixer {
            InputMixer::Attention(attention) => {
                attention.apply(backend, first, states, sources, scratch);
            }
            InputMixer::Projection(projection) => {
                let (projection, modulation) = projection.as_ref();
                let (rows, stride) = (projection.input_rows(), projection.output_rows());
                let count = states.len() / stride;
                let tokens = &sources[0].stored[first * rows..][..count * rows];
                let target = Target::overwrite(states, stride);
                let operand = &mut scratch.operand;
                projection.apply(backend, modulation, first, tokens, operand, target);
            }
        }
        if let Some(feed_forward) = &self.feed_forward {
            feed_forward.apply(backend, first, states, scratch);
        }
    }
}
