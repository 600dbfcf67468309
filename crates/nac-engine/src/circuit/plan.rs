//! What remains to be computed for an input, and the pass that does so.
//!
//! A layer needs the keys and values of all modules, but nothing else of the others: threads synchronize once between
//! two layers, and within a layer each block of 32 modules goes its own way, from attention through the feed-forward
//! block to its keys and values for the next layer.

use std::sync::Arc;

use super::buffers::{Buffers, TokenCount};
use super::head::Head;
use super::observer::Observer;
use super::propagation::Propagation;
use super::read_out::ReadOut;
use super::step::Step;
use super::token_store::TokenStore;
use crate::attention::{KeyValueLayout, KeyValues};
use crate::blocks::{Blocks, resize};
use crate::error::{EngineError, Result};
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;

/// A model without its tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) token_rows: usize,
    pub(crate) token_store: TokenStore,
    /// Initial states of the modules that read the tokens.
    pub(crate) readers: Blocks,
    pub(crate) reader_count: usize,
    pub(crate) read_in: Step,
    /// Initial states of the processors; without them, the read-in modules become the processors.
    pub(crate) processors: Option<Blocks>,
    pub(crate) processor_count: usize,
    pub(crate) propagations: Vec<Propagation>,
    pub(crate) read_out: ReadOut,
    pub(crate) head: Head,
}

impl Plan {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let size = (self.read_in.scratch_size())
            .max(self.token_store.scratch_size(self.token_rows))
            .max(self.read_out.scratch_size());
        let layers = self.propagations.iter().map(Propagation::scratch_size);
        layers.fold(size, ScratchSize::max)
    }

    /// An error unless this many tokens can be read: one for each module, or any number.
    pub(crate) fn expect_tokens(&self, op: &'static str, tokens: usize) -> Result<()> {
        match self.token_store {
            TokenStore::Raw if tokens != self.reader_count => Err(EngineError::Input {
                op,
                expected: format!("{} tokens, one for each read-in module", self.reader_count),
                found: format!("{tokens} tokens"),
            }),
            _ => Ok(()),
        }
    }

    /// Blocks of processors, the unit of work.
    pub(crate) fn blocks(&self) -> usize {
        self.processor_count.div_ceil(WIDTH)
    }

    /// Rows of a block of outputs.
    pub(crate) fn output_rows(&self) -> usize {
        self.read_out.output_rows()
    }

    fn state_rows(&self) -> usize {
        self.readers.rows()
    }

    /// The layer at `index`, of which the last is the read-out.
    fn layer(&self, index: usize) -> &Propagation {
        self.propagations.get(index).unwrap_or(&self.read_out.layer)
    }

    fn attends_to_read_in(&self) -> bool {
        let mut layers = self.propagations.iter().chain([&self.read_out.layer]);
        layers.any(|layer| layer.read_in.is_some())
    }
}

/// The circuits of a pass: one for all examples, or one for each, all of the same sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plans<'a> {
    /// For all.
    Shared(&'a Plan),
    /// For each.
    Each {
        /// By example.
        each: &'a [Arc<Plan>],
        /// Of the sizes of all.
        base: &'a Plan,
    },
}

impl Plans<'_> {
    /// A circuit of the sizes of all.
    fn any(&self) -> &Plan {
        match self {
            Self::Shared(plan) => plan,
            Self::Each { base, .. } => base,
        }
    }

    /// The circuit of an example.
    fn of(&self, example: usize) -> &Plan {
        match self {
            Self::Shared(plan) => plan,
            Self::Each { each, .. } => &each[example],
        }
    }

    /// From tokens to the outputs of the read-out, `outputs`: `[examples][read-out blocks][output_rows]`.
    pub(crate) fn run(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        count: TokenCount,
        mut observer: Option<Observer<'_>>,
    ) {
        let mut observe = |name: &str, states: &[Row], items: usize, rows: usize| {
            if let Some(observer) = &mut observer {
                observer(name, states, items, rows);
            }
        };
        let plan = self.any();
        let (rows, processors) = (plan.state_rows(), plan.processor_count);
        observe("tokens", &buffers.tokens, count.tokens, plan.token_rows);
        self.store_tokens(workers, buffers, count);
        let states = self.read(workers, buffers, count);
        observe("read_in.states", states, plan.reader_count, rows);
        for layer in 0..plan.propagations.len() {
            self.propagate(workers, buffers, layer, count.examples);
            let name = LayerName::new(layer);
            observe(name.as_str(), &buffers.states, processors, rows);
        }
        observe("processor.states", &buffers.states, processors, rows);
        self.read_out(workers, buffers, count.examples);
        let (outputs, rows) = (&buffers.outputs, plan.output_rows());
        observe("read_out.states", outputs, plan.read_out.count, rows);
    }

    fn store_tokens(&self, workers: &Workers<'_>, buffers: &mut Buffers, count: TokenCount) {
        let plan = self.any();
        let rows = plan.token_rows;
        let blocks = count.tokens.div_ceil(WIDTH);
        let stored_rows = plan.token_store.layout(rows).rows();
        let stored = &mut buffers.token_key_values;
        resize(stored, count.examples * blocks * stored_rows);
        let (tokens, stored) = (
            (&mut buffers.tokens[..], rows),
            (&mut stored[..], stored_rows),
        );
        workers.each_group(blocks, tokens, stored, |at, tokens, stored, scratch| {
            let tokens = (&*tokens, rows);
            let backend = workers.backend;
            plan.token_store
                .store(backend, at.first, tokens, stored, scratch);
        });
    }

    /// The read-in, and what processors store for the first layer. Returns the states of the modules that read.
    fn read<'b>(
        &self,
        workers: &Workers<'_>,
        buffers: &'b mut Buffers,
        count: TokenCount,
    ) -> &'b [Row] {
        let plan = self.any();
        let (rows, examples, backend) = (plan.state_rows(), count.examples, workers.backend);
        let layout = plan.token_store.layout(plan.token_rows);
        let tokens = key_values(&buffers.token_key_values, layout, count.tokens);
        let mask = &buffers.mask;
        let tokens = |example: usize| KeyValues {
            mask: (count.masked).then(|| &mask[example * count.tokens..][..count.tokens]),
            ..tokens(example)
        };
        let (blocks, stored_rows) = (plan.blocks(), plan.layer(0).processors.layout.rows());
        resize(&mut buffers.states, examples * blocks * rows);
        resize(&mut buffers.key_values, examples * blocks * stored_rows);
        let states = (&mut buffers.states[..], rows);
        let stored = (&mut buffers.key_values[..], stored_rows);
        if plan.processors.is_none() {
            workers.each_group(blocks, states, stored, |at, states, stored, scratch| {
                let plan = self.of(at.example);
                states.copy_from_slice(plan.readers.range(at.first, states.len() / rows));
                let tokens = [tokens(at.example)];
                (plan.read_in).apply(backend, at.first, states, &tokens, scratch);
                let next = &plan.layer(0).processors;
                next.store(backend, at.first, states, stored, scratch);
            });
            if plan.attends_to_read_in() {
                buffers.read_in_states.clone_from(&buffers.states);
            }
            return &buffers.states;
        }
        let read_blocks = plan.reader_count.div_ceil(WIDTH);
        resize(&mut buffers.read_in_states, examples * read_blocks * rows);
        workers.each(
            &mut buffers.read_in_states,
            rows,
            |index, states, scratch| {
                let (example, block) = (index / read_blocks, index % read_blocks);
                let plan = self.of(example);
                states.copy_from_slice(plan.readers.block(block));
                (plan.read_in).apply(backend, block, states, &[tokens(example)], scratch);
            },
        );
        workers.each_group(blocks, states, stored, |at, states, stored, scratch| {
            let plan = self.of(at.example);
            if let Some(processors) = &plan.processors {
                states.copy_from_slice(processors.range(at.first, states.len() / rows));
            }
            let next = &plan.layer(0).processors;
            next.store(backend, at.first, states, stored, scratch);
        });
        &buffers.read_in_states
    }

    /// One propagator, and what processors store for the next layer.
    fn propagate(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        index: usize,
        examples: usize,
    ) {
        let plan = self.any();
        self.store_read_in(workers, buffers, index, examples);
        let stored_rows = plan.layer(index + 1).processors.layout.rows();
        let (rows, blocks) = (plan.state_rows(), plan.blocks());
        resize(
            &mut buffers.next_key_values,
            examples * blocks * stored_rows,
        );
        let sources = plan.sources(index, &buffers.read_in_key_values, &buffers.key_values);
        let states = (&mut buffers.states[..], rows);
        let stored = (&mut buffers.next_key_values[..], stored_rows);
        let backend = workers.backend;
        workers.each_group(blocks, states, stored, |at, states, stored, scratch| {
            let (sources, count) = sources(at.example);
            let plan = self.of(at.example);
            let step = &plan.layer(index).step;
            step.apply(backend, at.first, states, &sources[..count], scratch);
            let next = &plan.layer(index + 1).processors;
            next.store(backend, at.first, states, stored, scratch);
        });
        drop(sources);
        std::mem::swap(&mut buffers.key_values, &mut buffers.next_key_values);
    }

    /// The read-out, of any width of states.
    fn read_out(&self, workers: &Workers<'_>, buffers: &mut Buffers, examples: usize) {
        let plan = self.any();
        let (read_out, backend) = (&plan.read_out, workers.backend);
        let last = plan.propagations.len();
        self.store_read_in(workers, buffers, last, examples);
        let (rows, output_rows) = (read_out.initial.rows(), plan.output_rows());
        let blocks = read_out.count.div_ceil(WIDTH);
        resize(&mut buffers.read_out_states, examples * blocks * rows);
        resize(&mut buffers.outputs, examples * blocks * output_rows);
        let (read_in, processors) = (&buffers.read_in_key_values, &buffers.key_values);
        let sources = plan.sources(last, read_in, processors);
        let states = (&mut buffers.read_out_states[..], rows);
        let outputs = (&mut buffers.outputs[..], output_rows);
        workers.each_group(blocks, states, outputs, |at, states, outputs, scratch| {
            let read_out = &self.of(at.example).read_out;
            states.copy_from_slice(read_out.initial.range(at.first, states.len() / rows));
            let (sources, count) = sources(at.example);
            let (step, sources) = (&read_out.layer.step, &sources[..count]);
            step.apply(backend, at.first, states, sources, scratch);
            read_out.finish(backend, at.first, states, outputs, scratch);
        });
    }

    /// Keys and values of the read-in modules for a layer, if it attends to them.
    fn store_read_in(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        index: usize,
        examples: usize,
    ) {
        let plan = self.any();
        let Some(projection) = &plan.layer(index).read_in else {
            return;
        };
        let (blocks, stored_rows) = (plan.reader_count.div_ceil(WIDTH), projection.layout.rows());
        let stored = &mut buffers.read_in_key_values;
        resize(stored, examples * blocks * stored_rows);
        let states = (&mut buffers.read_in_states[..], plan.state_rows());
        let stored = (&mut stored[..], stored_rows);
        workers.each_group(blocks, states, stored, |at, states, stored, scratch| {
            if let Some(projection) = &self.of(at.example).layer(index).read_in {
                projection.store(workers.backend, at.first, states, stored, scratch);
            }
        });
    }
}

impl Plan {
    /// The keys and values that an example attends to in a layer: those of the read-in modules, if any, before those of
    /// the processors, and how many of both there are.
    fn sources<'a>(
        &self,
        index: usize,
        read_in: &'a [Row],
        processors: &'a [Row],
    ) -> impl Fn(usize) -> ([KeyValues<'a>; 2], usize) + Sync {
        let layer = self.layer(index);
        let processors = key_values(processors, layer.processors.layout, self.processor_count);
        let read_in = (layer.read_in.as_ref())
            .map(|projection| key_values(read_in, projection.layout, self.reader_count));
        move |example| match &read_in {
            Some(read_in) => ([read_in(example), processors(example)], 2),
            None => ([processors(example); 2], 1),
        }
    }
}

/// The keys and values of an example among those of all.
fn key_values<'a>(
    all: &'a [Row],
    layout: KeyValueLayout,
    items: usize,
) -> impl Fn(usize) -> KeyValues<'a> + Sync {
    let size = items.div_ceil(WIDTH) * layout.rows();
    move |example| KeyValues {
        stored: &all[example * size..][..size],
        layout,
        items,
        mask: None,
    }
}

/// The name of a propagator's states, without an allocation.
struct LayerName {
    bytes: [u8; 40],
    length: usize,
}

impl LayerName {
    fn new(layer: usize) -> Self {
        use std::io::Write;
        let mut bytes = [0; 40];
        let mut rest = &mut bytes[..];
        if write!(rest, "propagator.{layer}.states").is_err() {
            unreachable!("40 bytes hold the 18 of the text and the 20 of the largest number");
        }
        let length = 40 - rest.len();
        Self { bytes, length }
    }

    fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.bytes[..self.length]) {
            Ok(name) => name,
            Err(_) => unreachable!("the name was written as text"),
        }
    }
}
