//! What one block of modules goes through in a layer: attention, then the feed-forward block.

use crate::attention::{Heard, Receivers};
use crate::layer::{FeedForward, Modulation, Projection, Target, Tools};
use crate::simd::Row;
use crate::team::{Room, Scratch};

/// How modules take something up.
#[derive(Debug, Clone)]
pub(crate) enum Uptake {
    /// By attention.
    Attention(Box<Receivers>),
    /// Module `i` projects token `i` (projection read-in); states are ignored.
    Projection(Box<(Projection, Modulation)>),
}

/// Attention (or projection) and feed-forward block of one set of modules.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) uptake: Uptake,
    pub(crate) feed_forward: Option<FeedForward>,
}

impl Step {
    pub(crate) fn room(&self) -> Room {
        let uptake = match &self.uptake {
            Uptake::Attention(receivers) => receivers.room(),
            Uptake::Projection(projection) => Room {
                operand: projection.0.input_rows(),
                ..Room::default()
            },
        };
        let feed_forward = self.feed_forward.as_ref();
        feed_forward.map_or(uptake, |f| f.room().or(uptake))
    }

    /// Number of edges, if the attention goes over edges.
    pub(crate) fn edges(&self) -> Option<usize> {
        match &self.uptake {
            Uptake::Attention(receivers) => receivers.links.edges(),
            Uptake::Projection(_) => None,
        }
    }

    /// Changes the states of some blocks, the first of which is block `first`; they hear `sets`.
    pub(crate) fn apply(
        &self,
        tools: &Tools,
        first: usize,
        states: &mut [Row],
        sets: &[Heard<'_>],
        scratch: &mut Scratch,
    ) {
        match &self.uptake {
            Uptake::Attention(receivers) => receivers.hear(tools, first, states, sets, scratch),
            Uptake::Projection(projection) => {
                let (projection, modulation) = projection.as_ref();
                let rows = projection.input_rows();
                let stride = projection.output_rows();
                let count = states.len() / stride;
                let tokens = sets
                    .first()
                    .map_or(&[][..], |set| &set.stored[first * rows..]);
                let target = Target::overwrite(states, stride);
                let (x, room) = (&tokens[..count * rows], &mut scratch.operand);
                projection.apply(tools, modulation, first, x, room, target);
            }
        }
        if let Some(feed_forward) = &self.feed_forward {
            feed_forward.apply(tools, first, states, scratch);
        }
    }
}
