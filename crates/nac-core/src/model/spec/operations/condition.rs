//! The text that changes a circuit.

use super::work::Work;
use crate::model::spec::{ConditionSpec, PerceiverLayerSpec};

impl PerceiverLayerSpec {
    /// Work of self-attention and feed-forward block for so many tokens.
    fn own(&self, tokens: usize) -> Work {
        self.attention.to_q.work(tokens) + self.cross(tokens, tokens)
    }
}

impl ConditionSpec {
    /// Work for an example, from the text to what is added to signatures and codes.
    pub(super) fn work(&self) -> Work {
        let (tokens, modules) = (self.tokenizer.tokens(), self.modules);
        let layers = self.layers.iter().map(|layer| layer.own(tokens));
        let gated = self.signatures.iter().chain(&self.codes);
        self.tokenizer.work()
            + self.embed.work(tokens)
            + layers.sum()
            + self.read.attention.to_q.work(modules)
            + self.read.cross(modules, tokens)
            + gated.map(|gated| gated.linear.work(modules)).sum()
    }
}
