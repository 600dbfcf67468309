//! A circuit on tokens, without tokenizer and head.

use ndarray::ArrayView3;

use super::SingleLayer;
use super::example::{expect, expect_features};
use crate::blocks::{Blocks, Layout};
use crate::circuit::{Buffers, Plans, States, TokenCount, circuit, collect_states};
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::scratch::ThreadScratch;
use crate::thread_pool::{ThreadPool, Workers};
use nac_core::model::spec::{CircuitSpec, HeadSpec};

const OP: &str = "SingleLayer::circuit";

impl SingleLayer<'_> {
    /// States of a circuit by the names of
    /// [`CoreEngine::infer_with_states`](crate::CoreEngine::infer_with_states). Tensors by
    /// the paths of `spec`, but for those of its head.
    ///
    /// # Shapes
    /// - tokens: `[batch, tokens, token_dim]`; as many as modules for the projection read-in
    /// - states: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit, a setting makes no sense or needs noise, or a tensor is missing, has another shape or is not used.
    pub fn circuit(&self, spec: &CircuitSpec, tokens: ArrayView3<'_, f32>) -> Result<States> {
        let (batch, count, token_dim) = tokens.dim();
        expect(OP, "tokens", tokens, &[batch], count)?;
        expect_features(OP, "tokens", tokens, spec.read_in.token_dim())?;
        let backend = self.backend();
        let without_head = CircuitSpec {
            head: HeadSpec::FirstSlot,
            ..spec.clone()
        };
        let plan = self.built(|scope| circuit(scope, &without_head, (&backend, &Wiring::PLAIN)))?;
        plan.expect_tokens(OP, count)?;
        let mut buffers = Buffers::default();
        for tokens in tokens.outer_iter() {
            let blocks = Blocks::from_items(tokens, Layout::plain(token_dim));
            buffers.tokens.extend_from_slice(blocks.all());
        }
        let count = TokenCount {
            examples: batch,
            tokens: count,
            masked: false,
        };
        let mut states = States::new();
        let mut observer = collect_states(&mut states, |name| match name {
            "tokens" => token_dim,
            "read_out.states" => spec.read_out.output_dim,
            _ => spec.read_in.ffn.norm.dim,
        });
        let pool = ThreadPool::new(1)?;
        let scratch = ThreadScratch::new(1, plan.scratch_size());
        let workers = Workers {
            backend: &backend,
            pool: &pool,
            scratch: &scratch,
        };
        Plans::Shared(&plan).run(&workers, &mut buffers, count, Some(&mut observer));
        drop(observer);
        Ok(states)
    }
}
