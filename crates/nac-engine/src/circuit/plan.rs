//! What is left to do for an input, and doing it.
//!
//! A layer needs everybody's keys and values, and nothing else of the others: between two layers threads wait for each
//! other once, and in a layer each block of 32 modules goes its own way, from attention through the feed-forward
//! block to its keys and values for the next layer.

pub(crate) use super::buffers::{Buffers, TokenCount, fit};
use super::read_out::ReadOut;
use super::step::Step;
use super::token_side::TokenSide;
use crate::attention::{Heard, Senders, Store};
use crate::blocks::Blocks;
use crate::error::{EngineError, Result};
use crate::head::Head;
use crate::layer::Tools;
use crate::simd::{Row, WIDTH};
use crate::team::{Desks, Grid, MOST_TOGETHER, Room, Team};

/// One layer of propagation.
#[derive(Debug, Clone)]
pub(crate) struct Propagation {
    /// Keys and values of the read-in modules, if they send.
    pub(crate) read_senders: Option<Senders>,
    /// Keys and values of the processors.
    pub(crate) senders: Senders,
    pub(crate) step: Step,
}

/// A model without its tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) token_rows: usize,
    pub(crate) token_side: TokenSide,
    /// Initial states of those who read.
    pub(crate) readers: Blocks,
    pub(crate) reader_count: usize,
    pub(crate) read_in: Step,
    /// Initial states of the processors, if they do not take over those of the readers.
    pub(crate) processors: Option<Blocks>,
    pub(crate) processor_count: usize,
    pub(crate) propagations: Vec<Propagation>,
    pub(crate) read_out: ReadOut,
    pub(crate) head: Head,
}

/// What of a run somebody wants to see besides the result: blocks of states by the names that
/// [`crate::CoreEngine`] documents.
pub(crate) type Watch<'a> = &'a mut (dyn FnMut(&str, &[Row], usize, usize) + Send);

impl Plan {
    pub(crate) fn room(&self) -> Room {
        let layer = |layer: &Propagation| {
            let read = layer.read_senders.as_ref().map(Senders::room);
            let room = layer.step.room().or(layer.senders.room());
            room.or(read.unwrap_or_default())
        };
        let mut room = self.read_in.room().or(layer(&self.read_out.layer));
        for propagation in &self.propagations {
            room = room.or(layer(propagation));
        }
        room.or(self.token_side.room(self.token_rows))
            .or(self.read_out.room())
    }

    /// An error unless this many tokens can be read: module by module, or any number.
    pub(crate) fn expect_tokens(&self, op: &'static str, tokens: usize) -> Result<()> {
        match self.token_side {
            TokenSide::AsTheyAre if tokens != self.reader_count => Err(EngineError::Input {
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

    /// Rows of what the read-out gives.
    pub(crate) fn output_rows(&self) -> usize {
        self.read_out.output_rows()
    }

    fn state_rows(&self) -> usize {
        self.readers.rows()
    }

    /// From tokens to what the read-out gives, `outputs`: `[examples][read-out blocks][output_rows]`.
    pub(crate) fn run(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        buffers: &mut Buffers,
        count: TokenCount,
        mut watch: Option<Watch<'_>>,
    ) {
        let rows = self.state_rows();
        let examples = count.examples;
        let (read_blocks, blocks) = (self.reader_count.div_ceil(WIDTH), self.blocks());
        let mut saw = |name: &str, states: &[Row], modules: usize, rows: usize| {
            if let Some(watch) = &mut watch {
                watch(name, states, modules, rows);
            }
        };
        saw("tokens", &buffers.tokens, count.tokens, self.token_rows);
        let token_store = self.store_tokens(tools, team, desks, buffers, count);
        let first = self.propagations.first().unwrap_or(&self.read_out.layer);

        let grid = grid(team, blocks, examples);
        fit(&mut buffers.states, examples * blocks * rows);
        let stored_rows = first.senders.store.rows();
        fit(&mut buffers.stored, examples * blocks * stored_rows);
        let takes_over = self.processors.is_none();
        let (tokens, mask) = (&buffers.stored_tokens, &buffers.mask);
        let token_blocks = count.tokens.div_ceil(WIDTH) * token_store.rows();
        let heard = |example: usize| Heard {
            stored: &tokens[example * token_blocks..][..token_blocks],
            store: token_store,
            items: count.tokens,
            mask: count
                .masked
                .then(|| &mask[example * count.tokens..][..count.tokens]),
        };
        if takes_over {
            let states = (&mut buffers.states[..], rows);
            let stored = (&mut buffers.stored[..], stored_rows);
            team.each_with(
                grid,
                states,
                stored,
                desks,
                |at, states, stored, scratch| {
                    states.copy_from_slice(self.readers.range(at.first, states.len() / rows));
                    let heard = [heard(at.example)];
                    self.read_in.apply(tools, at.first, states, &heard, scratch);
                    first.senders.put(tools, at.first, states, stored, scratch);
                },
            );
            if self.read_in_sends() {
                buffers.read.clone_from(&buffers.states);
            }
            saw("read_in.states", &buffers.states, self.reader_count, rows);
        } else {
            fit(&mut buffers.read, examples * read_blocks * rows);
            team.each(&mut buffers.read, rows, desks, |index, states, scratch| {
                let (example, block) = (index / read_blocks, index % read_blocks);
                states.copy_from_slice(self.readers.block(block));
                let heard = [heard(example)];
                self.read_in.apply(tools, block, states, &heard, scratch);
            });
            saw("read_in.states", &buffers.read, self.reader_count, rows);
            let states = (&mut buffers.states[..], rows);
            let stored = (&mut buffers.stored[..], stored_rows);
            team.each_with(
                grid,
                states,
                stored,
                desks,
                |at, states, stored, scratch| {
                    if let Some(processors) = &self.processors {
                        states.copy_from_slice(processors.range(at.first, states.len() / rows));
                    }
                    first.senders.put(tools, at.first, states, stored, scratch);
                },
            );
        }

        for (layer, propagation) in self.propagations.iter().enumerate() {
            let next = self.propagations.get(layer + 1);
            let next = &next.unwrap_or(&self.read_out.layer).senders;
            self.store_read(tools, team, desks, buffers, propagation, examples);
            let stored_rows = next.store.rows();
            fit(&mut buffers.stored_next, examples * blocks * stored_rows);
            {
                let heard = self.heard(propagation, &buffers.stored_read, &buffers.stored);
                let states = (&mut buffers.states[..], rows);
                let stored = (&mut buffers.stored_next[..], stored_rows);
                team.each_with(
                    grid,
                    states,
                    stored,
                    desks,
                    |at, states, stored, scratch| {
                        let (sets, count) = heard(at.example);
                        let step = &propagation.step;
                        step.apply(tools, at.first, states, &sets[..count], scratch);
                        next.put(tools, at.first, states, stored, scratch);
                    },
                );
            }
            std::mem::swap(&mut buffers.stored, &mut buffers.stored_next);
            let name = Name::layer(layer);
            saw(name.as_str(), &buffers.states, self.processor_count, rows);
        }
        saw(
            "processor.states",
            &buffers.states,
            self.processor_count,
            rows,
        );
        self.answer(tools, team, desks, buffers, examples);
        let outputs = &buffers.outputs;
        saw(
            "read_out.states",
            outputs,
            self.read_out.count,
            self.output_rows(),
        );
    }

    fn read_in_sends(&self) -> bool {
        let layers = self.propagations.iter().chain([&self.read_out.layer]);
        layers.into_iter().any(|layer| layer.read_senders.is_some())
    }

    fn store_tokens(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        buffers: &mut Buffers,
        count: TokenCount,
    ) -> Store {
        let rows = self.token_rows;
        let blocks = count.tokens.div_ceil(WIDTH);
        let store = self.token_side.store(rows);
        fit(
            &mut buffers.stored_tokens,
            count.examples * blocks * store.rows(),
        );
        let tokens = (&mut buffers.tokens[..], rows);
        let stored = (&mut buffers.stored_tokens[..], store.rows());
        let grid = grid(team, blocks, count.examples);
        team.each_with(
            grid,
            tokens,
            stored,
            desks,
            |at, tokens, stored, scratch| {
                let side = &self.token_side;
                side.put(tools, at.first, (tokens, rows), stored, scratch);
            },
        );
        store
    }

    /// Keys and values of the read-in modules for a layer, if they send.
    fn store_read(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        buffers: &mut Buffers,
        layer: &Propagation,
        examples: usize,
    ) {
        let Some(senders) = &layer.read_senders else {
            return;
        };
        let blocks = self.reader_count.div_ceil(WIDTH);
        fit(
            &mut buffers.stored_read,
            examples * blocks * senders.store.rows(),
        );
        let states = (&mut buffers.read[..], self.state_rows());
        let stored = (&mut buffers.stored_read[..], senders.store.rows());
        let grid = grid(team, blocks, examples);
        team.each_with(
            grid,
            states,
            stored,
            desks,
            |at, states, stored, scratch| {
                senders.put(tools, at.first, states, stored, scratch);
            },
        );
    }

    /// The sets of senders that an example hears in a layer, and how many there are.
    fn heard<'a>(
        &self,
        layer: &Propagation,
        read: &'a [Row],
        stored: &'a [Row],
    ) -> impl Fn(usize) -> ([Heard<'a>; 2], usize) + Sync {
        let set = |all: &'a [Row], store: Store, items: usize| {
            let size = items.div_ceil(WIDTH) * store.rows();
            move |example: usize| Heard {
                stored: &all[example * size..][..size],
                store,
                items,
                mask: None,
            }
        };
        let processors = set(stored, layer.senders.store, self.processor_count);
        let readers = layer
            .read_senders
            .as_ref()
            .map(|senders| set(read, senders.store, self.reader_count));
        move |example| match &readers {
            Some(readers) => ([readers(example), processors(example)], 2),
            None => ([processors(example); 2], 1),
        }
    }

    fn answer(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        buffers: &mut Buffers,
        examples: usize,
    ) {
        let read_out = &self.read_out;
        self.store_read(tools, team, desks, buffers, &read_out.layer, examples);
        // A query may be of another width than those it asks.
        let (rows, blocks) = (read_out.initial.rows(), read_out.count.div_ceil(WIDTH));
        let output_rows = self.output_rows();
        fit(&mut buffers.answers, examples * blocks * rows);
        fit(&mut buffers.outputs, examples * blocks * output_rows);
        let heard = self.heard(&read_out.layer, &buffers.stored_read, &buffers.stored);
        let answers = (&mut buffers.answers[..], rows);
        let outputs = (&mut buffers.outputs[..], output_rows);
        let grid = grid(team, blocks, examples);
        team.each_with(
            grid,
            answers,
            outputs,
            desks,
            |at, states, output, scratch| {
                states.copy_from_slice(read_out.initial.range(at.first, states.len() / rows));
                let (sets, count) = heard(at.example);
                let step = &read_out.layer.step;
                step.apply(tools, at.first, states, &sets[..count], scratch);
                read_out.finish(tools, at.first, states, output, scratch);
            },
        );
    }
}

/// Blocks in pairs, where all threads have enough to do all the same.
pub(crate) fn grid(team: &Team, blocks: usize, examples: usize) -> Grid {
    let groups = |group: usize| examples * blocks.div_ceil(group);
    let fair = |count: usize| count.is_multiple_of(team.threads()) || count >= 8 * team.threads();
    let together = (2..=MOST_TOGETHER).rev().find(|group| fair(groups(*group)));
    Grid {
        blocks,
        group: together.unwrap_or(1).min(blocks),
    }
}

/// The name of a layer's states, without an allocation.
struct Name([u8; 32], usize);

impl Name {
    fn layer(layer: usize) -> Self {
        use std::io::Write;
        let mut name = [0; 32];
        let mut rest = &mut name[..];
        // 32 bytes hold any layer's name up to a hundred million.
        let written = write!(rest, "propagator.{layer}.states").is_ok();
        let length = if written { 32 - rest.len() } else { 0 };
        Self(name, length)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0[..self.1]).unwrap_or_default()
    }
}
