//! Layers from tokens to modules.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2};

use super::SingleLayer;
use super::example::{ModuleArrays, expect, expect_features, in_place, of};
use crate::attention::KeyValues;
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout};
use crate::circuit::generator::Modules;
use crate::circuit::read_in;
use crate::circuit::{Step, TokenStore};
use crate::error::Result;
use crate::scratch::Scratch;
use crate::simd::Row;
use crate::weights::WeightScope;
use nac_core::model::spec::{InputMixerSpec, ReadInAttentionSpec, ReadInSpec};

impl SingleLayer<'_> {
    /// The attention of a read-in. Tensors `receiver_layernorm`, `sender_layernorm`, `query_compiler`, `key_compiler`,
    /// `value_compiler`, `exit_layer`, `layer_scale`.
    ///
    /// # Shapes
    /// - modules: as in [`ModuleArrays`]; signatures do not matter
    /// - tokens: `[batch, tokens, token_dim]`
    /// - result: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit, or a tensor is missing, has another shape or is not used.
    pub fn read_in_attention(
        &self,
        spec: &ReadInAttentionSpec,
        modules: ModuleArrays<'_>,
        tokens: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        const OP: &str = "SingleLayer::read_in_attention";
        let count = tokens.dim().1;
        expect_features(OP, "states", modules.states, spec.receiver_norm.dim)?;
        expect_features(OP, "codes", modules.codes, spec.query.code)?;
        expect_features(OP, "tokens", tokens, spec.sender_norm.dim)?;
        self.reading(OP, modules, (tokens, count), |scope, readers| {
            let (tokens, input_mixer) = read_in::attention(scope, spec, readers, &self.backend())?;
            let step = Step {
                input_mixer,
                feed_forward: None,
            };
            Ok((tokens, step))
        })
    }

    /// A read-in: attention or projection, then a ModFFN. Tensors below `read_in_attention` or `read_in_projection`,
    /// and `ffn`.
    ///
    /// # Shapes
    /// - modules: as in [`ModuleArrays`]; signatures do not matter
    /// - tokens: `[batch, tokens, token_dim]`; the projection read-in has as many tokens as modules
    /// - result: `[batch, modules, state]`
    ///
    /// # Errors
    /// As [`read_in_attention`](Self::read_in_attention).
    pub fn read_in(
        &self,
        spec: &ReadInSpec,
        modules: ModuleArrays<'_>,
        tokens: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let count = match spec.mixer {
            InputMixerSpec::Attention(_) => tokens.dim().1,
            InputMixerSpec::Projection(_) => modules.states.dim().1,
        };
        let op = "SingleLayer::read_in";
        expect_features(op, "states", modules.states, spec.ffn.norm.dim)?;
        expect_features(op, "codes", modules.codes, spec.ffn.expand.code)?;
        expect_features(op, "tokens", tokens, spec.token_dim())?;
        self.reading(op, modules, (tokens, count), |scope, readers| {
            read_in::load(scope, spec, readers, &self.backend())
        })
    }

    fn reading(
        &self,
        op: &'static str,
        modules: ModuleArrays<'_>,
        (tokens, count): (ArrayView3<'_, f32>, usize),
        load: impl Fn(&WeightScope<'_, '_>, &Modules) -> Result<(TokenStore, Step)>,
    ) -> Result<Array3<f32>> {
        let batch = modules.states.dim().0;
        modules.check(op, batch)?;
        expect(op, "tokens", tokens, &[batch], count)?;
        let backend = self.backend();
        // States are fixed when a model is loaded, so each example has a separate layer.
        self.each_example(
            modules.states.dim(),
            false,
            |scope, example| {
                let part = |array: &ArrayView3<'_, f32>| of(array, example).to_owned();
                let (signatures, codes) = (part(&modules.signatures), part(&modules.codes));
                let readers = Modules::given(signatures, codes, part(&modules.states));
                load(scope, &readers)
            },
            |layer, example, out| {
                let states = of(&modules.states, example);
                run(&backend, layer, states, of(&tokens, example), out);
            },
        )
    }
}

fn run(
    backend: &Backend,
    (token_store, step): &(TokenStore, Step),
    states: ArrayView2<'_, f32>,
    tokens: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
) {
    let layout = Layout::plain(tokens.ncols());
    let mut scratch = Scratch::new(
        step.scratch_size()
            .max(token_store.scratch_size(layout.rows())),
    );
    let stored_layout = token_store.layout(layout.rows());
    let blocks = Blocks::from_items(tokens, layout);
    let mut stored = vec![Row::ZERO; blocks.count() * stored_layout.rows()];
    for (block, stored) in stored.chunks_exact_mut(stored_layout.rows()).enumerate() {
        let tokens = (blocks.block(block), layout.rows());
        token_store.store(backend, block, tokens, stored, &mut scratch);
    }
    let sources = [KeyValues {
        stored: &stored,
        layout: stored_layout,
        items: tokens.nrows(),
        mask: None,
    }];
    in_place(states, out, |block, states| {
        step.apply(backend, block, states, &sources, &mut scratch);
    });
}
