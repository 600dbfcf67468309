//! Stages of Perceiver IO.

use super::work::{Work, attention, special};
use super::{Algorithm, Stage};
use crate::model::spec::{FeedForwardSpec, PerceiverIoSpec, PerceiverLayerSpec};

impl FeedForwardSpec {
    fn work(&self, items: usize) -> Work {
        self.expand.work(items) + special(items * self.hidden) + self.contract.work(items)
    }
}

impl PerceiverLayerSpec {
    /// Work of the attention beside its queries and keys, and of all that follows it.
    pub(super) fn cross(&self, receivers: usize, senders: usize) -> Work {
        let layer = &self.attention;
        let ffn = self.ffn.as_ref();
        layer.to_kv.work(senders)
            + attention(receivers, senders, layer.heads, layer.head_dim)
            + layer.to_out.work(receivers)
            + ffn.map_or(Work::default(), |ffn| ffn.work(receivers))
    }
}

impl PerceiverIoSpec {
    /// Stages after the tokenizer.
    pub(super) fn stages(&self, tokens: usize, algorithm: Algorithm) -> Vec<Stage> {
        let latents = self.latents;
        // Latents and the answer's query are parameters: what is made of them alone is that of the model.
        let stage = |name, query: Work, rest: Work| match algorithm {
            Algorithm::Reference => Stage::of_examples(name, query + rest),
            Algorithm::Folded => Stage {
                name,
                per_example: rest,
                per_call: query,
            },
        };
        let query = self.read.attention.to_q.work(latents);
        let mut stages = vec![stage("read", query, self.read.cross(latents, tokens))];
        let [mut qkv, mut attend, mut exits, mut ffns] = [Work::default(); 4];
        for layer in &self.layers {
            let spec = &layer.attention;
            qkv = qkv + spec.to_q.work(latents) + spec.to_kv.work(latents);
            attend = attend + attention(latents, latents, spec.heads, spec.head_dim);
            exits = exits + spec.to_out.work(latents);
            let ffn = layer.ffn.as_ref();
            ffns = ffns + ffn.map_or(Work::default(), |ffn| ffn.work(latents));
        }
        stages.extend([
            Stage::of_examples("layers qkv", qkv),
            Stage::of_examples("layers attention", attend),
            Stage::of_examples("layers exit", exits),
            Stage::of_examples("layers ffn", ffns),
        ]);
        let query = self.decode.attention.to_q.work(1);
        stages.push(stage("decoder", query, self.decode.cross(1, latents)));
        stages.push(Stage::of_examples(
            "head",
            self.to_logits
                .as_ref()
                .map_or(Work::default(), |linear| linear.work(1)),
        ));
        stages
    }
}
