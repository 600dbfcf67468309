//! Tokenizers of sequences.

use super::work::{Work, linear, special};
use crate::model::spec::{ConvSequenceSpec, RecurrenceSpec, RecurrentSpec};

impl ConvSequenceSpec {
    /// Work for the longest sequence.
    pub(super) fn work(&self) -> Work {
        let mut positions = self.symbols.max_len;
        let mut work = Work::default();
        for layer in &self.layers {
            let read = positions * layer.input;
            positions = positions.div_ceil(layer.stride);
            let product = linear(positions, layer.input * layer.kernel, layer.output);
            let bytes = 4 * (read + positions * layer.output) as u64;
            work = work + Work { bytes, ..product } + special(positions * layer.output);
        }
        work
    }
}

impl RecurrentSpec {
    /// Work for the longest sequence.
    pub(super) fn work(&self) -> Work {
        let layers = self.layers.iter();
        layers.map(|layer| layer.work(self.symbols.max_len)).sum()
    }
}

impl RecurrenceSpec {
    /// A state takes a multiply-add for each position of the convolution, one for `λ s` and one for `gain · c`.
    fn work(&self, symbols: usize) -> Work {
        let states = Work {
            flops: (2 * (Self::KERNEL + 2) * symbols * self.states) as u64,
            bytes: (4 * 2 * symbols * self.states) as u64,
            weight_bytes: (4 * (Self::KERNEL + 2) * self.states) as u64,
            ..special(symbols * self.states)
        };
        let layers = [&self.value, &self.gate, &self.output];
        states + layers.into_iter().map(|layer| layer.work(symbols)).sum()
    }
}
