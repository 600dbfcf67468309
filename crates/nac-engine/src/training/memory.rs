//! Memory that grows to what the largest block needs and stays.

/// Scratch memory of one thread, by who uses it.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Rows of a block on their way through its layers.
    pub(crate) rows: Buffer,
    /// Operands and results of matrix products.
    pub(crate) product: Buffer,
    /// Scores and the like of attention.
    pub(crate) attention: Buffer,
}

/// Memory that grows to the largest request and stays.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<Line>);

/// A cache line, so that buffers start at one.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

impl Buffer {
    /// `len` numbers, left over from an earlier use, at the start of a cache line.
    pub(crate) fn take(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(LINE);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; LINE]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..len]
    }

    /// The first `len` numbers; there must be as many.
    pub(crate) fn numbers(&self, len: usize) -> &[f32] {
        &bytemuck::cast_slice(&self.0)[..len]
    }

    /// How many numbers there is room for.
    pub(crate) fn room(&self) -> usize {
        self.0.len() * LINE
    }

    /// Several parts after each other, each at the start of a cache line.
    pub(crate) fn parts<const PARTS: usize>(
        &mut self,
        lens: [usize; PARTS],
    ) -> [&mut [f32]; PARTS] {
        let padded = lens.map(|len| len.next_multiple_of(LINE));
        let mut rest = self.take(padded.iter().sum());
        std::array::from_fn(|i| {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(padded[i]);
            rest = others;
            &mut part[..lens[i]]
        })
    }
}

/// Memory that the backward passes of all blocks share, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Gradient of a branch, and of its last projection.
    pub(super) finish: FinishMemory,
    /// Gradients of the projections of receivers.
    pub(super) receivers: ProjectMemory,
    /// Gradients of the projections of senders.
    pub(super) senders: ProjectMemory,
    /// Gradients of attention.
    pub(super) attend: AttendMemory,
    /// What read-in attention needs beside these.
    pub(super) read_in: ReadInMemory,
}

/// For the backward pass of a normed projection.
#[derive(Debug, Default)]
pub(crate) struct ProjectMemory {
    pub(super) d_states: Buffer,
    /// Gradient that is added to that of the states, summed over examples.
    pub(super) added: Buffer,
    /// Gradient of states that have another one, too.
    pub(super) own: Buffer,
    pub(super) scaled: [Buffer; 3],
    pub(super) d_scales: [Buffer; 3],
    pub(super) d_norm: Buffer,
}

/// For the backward pass of the last projection of a branch.
#[derive(Debug, Default)]
pub(crate) struct FinishMemory {
    /// Gradient of the branch, if it has a factor.
    pub(super) d_branch: Buffer,
    pub(super) scaled: Buffer,
    pub(super) d_scale: Buffer,
}

/// For the backward pass of attention.
#[derive(Debug, Default)]
pub(crate) struct AttendMemory {
    pub(super) d_messages: Buffer,
    /// Gradients of queries, keys and values of each example.
    pub(super) d_projected: [Buffer; 3],
    /// Their sums over examples.
    pub(super) sums: [Buffer; 3],
    /// Gradients of links before they are summed over examples and groups of heads.
    pub(super) links: Buffer,
}

/// For read-in attention.
#[derive(Debug, Default)]
pub(crate) struct ReadInMemory {
    /// Normalised tokens.
    pub(super) tokens: Buffer,
    /// Gradients of the folded queries of each example, and their sum.
    pub(super) d_folded: Buffer,
    pub(super) folded_sum: Buffer,
    /// Gradients of what was read, then of the folded queries before their scale.
    pub(super) d_read: Buffer,
    pub(super) scaled: Buffer,
    pub(super) d_scale: Buffer,
    pub(super) d_queries: Buffer,
    pub(super) queries_sum: Buffer,
    /// Queries, once for each example.
    pub(super) repeated: Buffer,
    pub(super) d_norm: Buffer,
    pub(super) d_tokens: Buffer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_at_a_cache_line_and_keep_their_memory() {
        let mut buffer = Buffer::default();
        let first = buffer.take(100).as_ptr();
        assert_eq!(first as usize % 64, 0);
        assert_eq!(buffer.take(7).as_ptr(), first);
        let [a, b] = buffer.parts([5, 20]);
        assert_eq!((a.len(), b.len()), (5, 20));
        assert_eq!(b.as_ptr() as usize - a.as_ptr() as usize, 64);
    }
}
