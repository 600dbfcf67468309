//! A circuit on tokens, without tokenizer and head.

use ndarray::ArrayView3;

use super::SingleLayer;
use super::example::expect;
use crate::blocks::{Blocks, Layout};
use crate::circuit::Head;
use crate::circuit::{Buffers, TokenCount};
use crate::circuit::{States, circuit, collect_states};
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::scratch::ThreadScratch;
use crate::thread_pool::{ThreadPool, Workers};
use nac_core::model::{CircuitConfig, HeadConfig, HeadKind};

const OP: &str = "SingleLayer::circuit";

impl SingleLayer<'_> {
    /// States of a circuit by the names of
    /// [`CoreEngine::infer_with_states`](crate::CoreEngine::infer_with_states). `outputs` is the width of what
    /// the read-out gives if it has a projection. Tensors of a model's `latent_graphs.0`.
    ///
    /// # Shapes
    /// - tokens: `[batch, tokens, token_dim]`; as many as modules for the projection read-in
    /// - states: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit, a setting makes no sense or needs noise, or a tensor is missing, has another shape or is not used.
    pub fn circuit(
        &self,
        config: &CircuitConfig,
        outputs: usize,
        tokens: ArrayView3<'_, f32>,
    ) -> Result<States> {
        let (batch, count, token_dim) = tokens.dim();
        expect(OP, "tokens", tokens, &[batch], count)?;
        let backend = self.backend();
        let plan = self.built(|scope| {
            let first = HeadConfig {
                kind: HeadKind::FirstSlot,
                ..HeadConfig::default()
            };
            let head = |width: usize| Head::load(scope, width, outputs, &first, &backend);
            circuit(
                scope,
                head,
                (token_dim, outputs),
                config,
                (&backend, &Wiring::PLAIN),
            )
        })?;
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
            "read_out.states" if config.read_out.use_head => outputs,
            _ => config.state_dim,
        });
        let pool = ThreadPool::new(1)?;
        let scratch = ThreadScratch::new(1, plan.scratch_size());
        let workers = Workers {
            backend: &backend,
            pool: &pool,
            scratch: &scratch,
        };
        plan.run(&workers, &mut buffers, count, Some(&mut observer));
        drop(observer);
        Ok(states)
    }
}
