//! What each module reads from a text, and what that adds to signatures and codes.
//!
//! The same layers as in nac-modules' `generator/text_reader.rs`: tokens, self-attention over the text, attention of the
//! modules' queries to it, layer norm, gated linear layers.

use ndarray::{Array1, Array2, CowArray, Ix2};

use crate::attention::{KeyValueProjection, KeyValues};
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout, to_items};
use crate::circuit::generator::Added;
use crate::circuit::{Buffers, Step};
use crate::error::Result;
use crate::input::Inputs;
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::perceiver_io::plain_layer;
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::tokenizer::{Tokenizer, TokenizerBuffers};
use crate::weights::WeightScope;
use nac_core::model::spec::{ConditionSpec, GatedSpec};

/// A layer: keys and values of those attended to, and what those that attend do with them.
type Layer = (KeyValueProjection, Step);

/// Tokens of one text.
#[derive(Debug)]
pub(super) struct Text {
    tokens: Vec<Row>,
    count: usize,
    mask: Option<Vec<bool>>,
}

/// Reads texts for all modules of a circuit.
#[derive(Debug)]
pub(super) struct TextReader {
    tokenizer: Tokenizer,
    embed: Projection,
    layers: Vec<Layer>,
    queries: Blocks,
    modules: usize,
    read: Layer,
    norm: Norm,
    dim: usize,
    /// `g ⊙ W`, `[features, dim]`.
    signatures: Option<Array2<f32>>,
    codes: Option<Array2<f32>>,
}

impl TextReader {
    /// The reader of `spec`.
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ConditionSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let (dim, precision) = (spec.norm.dim, backend.precision);
        let size = [spec.modules, dim];
        let queries = scope.sub(&spec.path).matrix("queries", &size)?;
        let layouts = (Layout::plain(spec.embed.input), Layout::plain(dim));
        let layers = spec.layers.iter();
        let layers = layers.map(|layer| plain_layer(scope, layer, None, backend));
        let gated = |spec: &Option<GatedSpec>| {
            let gated = spec.as_ref().map(|spec| gated(scope, spec));
            gated.transpose()
        };
        Ok(Self {
            tokenizer: Tokenizer::of_text(scope, spec, backend)?,
            embed: Projection::linear(scope, &spec.embed, layouts, precision)?,
            layers: layers.collect::<Result<_>>()?,
            read: plain_layer(scope, &spec.read, Some(queries.view()), backend)?,
            queries: Blocks::from_items(queries.view(), Layout::plain(dim)),
            modules: spec.modules,
            norm: Norm::of(scope, &spec.norm)?,
            dim,
            signatures: gated(&spec.signatures)?,
            codes: gated(&spec.codes)?,
        })
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let own = ScratchSize {
            operand: self.embed.input_rows(),
            ..self.tokenizer.scratch_size()
        };
        let layers = self.layers.iter().chain([&self.read]);
        let sizes = layers.map(|(stored, step)| stored.scratch_size().max(step.scratch_size()));
        sizes.fold(own.max(self.tokenizer.scratch_size()), ScratchSize::max)
    }

    /// The tokens of the text of one example of checked inputs.
    pub(super) fn tokens(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        example: usize,
    ) -> Result<Text> {
        let (mut buffers, mut own) = (Buffers::default(), TokenizerBuffers::default());
        let range = example..example + 1;
        let tokenizer = &self.tokenizer;
        let (count, masked) = tokenizer.tokenize(workers, inputs, range, &mut buffers, &mut own)?;
        Ok(Text {
            tokens: buffers.tokens,
            count,
            mask: masked.then_some(buffers.mask),
        })
    }

    /// What a text adds to signatures and codes.
    pub(super) fn read(&self, backend: &Backend, text: &Text, scratch: &mut Scratch) -> Added {
        let depth = self.embed.input_rows();
        let mut x = Blocks::zeros(Layout::plain(self.dim).rows(), text.count);
        for block in 0..x.count() {
            let tokens = &text.tokens[block * depth..][..depth];
            let stride = self.embed.output_rows();
            let target = Target::overwrite(x.block_mut(block), stride);
            let (none, operand) = (Modulation::default(), &mut scratch.operand);
            (self.embed).apply(backend, &none, 0, tokens, operand, target);
        }
        for layer in &self.layers {
            let from = x.clone();
            attend(backend, layer, &mut x, (&from, text), scratch);
        }
        let mut modules = self.queries.clone();
        attend(backend, &self.read, &mut modules, (&x, text), scratch);
        let mut items = Array2::zeros((self.modules, self.dim));
        to_items(modules.all(), modules.rows(), items.view_mut());
        let read = self.norm.apply_to_items(items.view());
        let add =
            |weight: &Option<Array2<f32>>| weight.as_ref().map(|weight| read.dot(&weight.t()));
        Added {
            signatures: add(&self.signatures),
            codes: add(&self.codes),
        }
    }
}

/// The linear layer of `spec` times its gate, `[features, dim]`.
fn gated(scope: &WeightScope<'_, '_>, spec: &GatedSpec) -> Result<Array2<f32>> {
    let linear = &spec.linear;
    let size = [linear.output, linear.input];
    let weight: CowArray<'_, f32, Ix2> = scope.sub(&linear.path).matrix("weight", &size)?;
    let gate = scope.sub(&spec.path).tensor("gate", &[linear.output])?;
    let gate = Array1::from(gate.to_vec()).insert_axis(ndarray::Axis(1));
    Ok(&weight * &gate)
}

/// One layer: `states` attend to the blocks of a text.
fn attend(
    backend: &Backend,
    (projection, step): &Layer,
    states: &mut Blocks,
    (from, text): (&Blocks, &Text),
    scratch: &mut Scratch,
) {
    let rows = projection.layout.rows();
    let mut stored = vec![Row::ZERO; text.count.div_ceil(WIDTH) * rows];
    for (block, stored) in stored.chunks_exact_mut(rows).enumerate() {
        projection.store(backend, block, from.block(block), stored, scratch);
    }
    let sources = [KeyValues {
        stored: &stored,
        layout: projection.layout,
        items: text.count,
        mask: text.mask.as_deref(),
    }];
    for block in 0..states.count() {
        step.apply(backend, block, states.block_mut(block), &sources, scratch);
    }
}
