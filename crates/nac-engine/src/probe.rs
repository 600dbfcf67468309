//! Single operations of the engine, for benchmarks and for the speed of a machine.
//!
//! ```
//! use nac_engine::{EngineOptions, Operation, Probe};
//!
//! let product = Operation::Projection { inputs: 64, outputs: 128, items: 96 };
//! let mut probe = Probe::new(product, &EngineOptions::default())?;
//! probe.run();
//! assert_eq!(probe.operations(), 2.0 * 64.0 * 128.0 * 96.0);
//! # Ok::<(), nac_engine::EngineError>(())
//! ```

use ndarray::Array2;

use super::attention::{
    Attention, Connections, KeyValueLayout, KeyValues, LinkSettings, Queries, links,
};
use super::backend::Backend;
use super::blocks::{Blocks, Layout};
use super::error::Result;
use super::layer::{FeedForward, Modulation, Projection, Target};
use super::options::EngineOptions;
use super::scratch::{ScratchSize, ThreadScratch};
use super::simd::{Row, WIDTH};
use super::thread_pool::{ThreadPool, Workers};
use super::weights::{WeightScope, WeightSource};
use nac_core::Streams;
use nac_core::model::spec::{ProjectionSpec, Surroundings};
use nac_core::model::{KernelConfig, ModFcConfig, ModFfnConfig};

/// What a [`Probe`] runs. An item is a module or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A modulated projection (ModFC) of items.
    Projection {
        /// Features of an item before.
        inputs: usize,
        /// Features after.
        outputs: usize,
        /// Number of items.
        items: usize,
    },
    /// Dense attention along links, all heads, without its projections.
    Attention {
        /// Number of heads.
        heads: usize,
        /// Features per head.
        head_dim: usize,
        /// Modules that attend to each other.
        items: usize,
    },
    /// Layer norm, two modulated projections with GEGLU between them, residual (ModFFN).
    FeedForward {
        /// Features of a state.
        state: usize,
        /// Hidden features as a multiple of it.
        capacity: usize,
        /// Number of items.
        items: usize,
    },
}

/// An operation with random weights and inputs, ready to run as often as wanted.
#[derive(Debug)]
pub struct Probe {
    operation: Operation,
    layer: Layer,
    backend: Backend,
    pool: ThreadPool,
    thread_scratch: ThreadScratch,
    states: Vec<Row>,
    rows: usize,
    results: Vec<Row>,
    result_rows: usize,
    stored: Vec<Row>,
}

#[derive(Debug)]
enum Layer {
    Projection(Box<(Projection, Modulation)>),
    Attention(Box<Attention>, KeyValueLayout),
    FeedForward(Box<FeedForward>),
}

/// What the layers of a probe are made of: random weights and codes.
struct Parts<'a> {
    source: &'a WeightSource<'a>,
    precision: crate::Precision,
}

impl Parts<'_> {
    fn scope(&self) -> WeightScope<'_, '_> {
        WeightScope::root(self.source)
    }

    /// The layer and the rows of its result.
    fn projection(&self, inputs: usize, outputs: usize, items: usize) -> Result<(Layer, usize)> {
        let layouts = (Layout::plain(inputs), Layout::plain(outputs));
        let mod_fc = ModFcConfig::default();
        let around = Surroundings::new(inputs, inputs, &mod_fc);
        let spec = ProjectionSpec::new(&around, "", (inputs, outputs), true)?;
        let layer = Projection::load(&self.scope(), &spec, layouts, self.precision)?;
        let modulation = layer.modulation(draw("codes", items, inputs).view());
        Ok((
            Layer::Projection(Box::new((layer, modulation))),
            layouts.1.rows(),
        ))
    }

    fn feed_forward(&self, state: usize, capacity: usize, items: usize) -> Result<Layer> {
        let config = ModFfnConfig {
            capacity_factor: capacity as f64,
            ..ModFfnConfig::default()
        };
        let codes = draw("codes", items, state);
        let spec = config.resolve(&Surroundings::new(state, state, &ModFcConfig::default()))?;
        let layer = FeedForward::modulated(&self.scope(), &spec, codes.view(), self.precision)?;
        Ok(Layer::FeedForward(Box::new(layer)))
    }

    fn attention(
        &self,
        (heads, head_dim): (usize, usize),
        items: usize,
        backend: &Backend,
    ) -> Result<Layer> {
        let (inner, state) = (Layout::heads(heads, head_dim), heads * head_dim);
        let signatures = draw("signatures", items, 64);
        let settings = LinkSettings {
            kernel: KernelConfig::default(),
            bandwidth: 1.0,
            mask: true,
            scale: false,
            normalize: false,
        };
        let layouts = (inner, Layout::plain(state));
        let exit = Projection::plain(&self.scope(), layouts, true, self.precision)?;
        let queries = draw("queries", items, state);
        let attention = Attention {
            queries: Queries::fixed(queries.view(), inner, head_dim, backend),
            keys: inner,
            values: inner,
            heads,
            connections: Connections::Dense(links(
                &settings,
                signatures.view(),
                &[signatures.view()],
            )?),
            fold: None,
            exit,
            exit_modulation: Modulation::default(),
            gamma: None,
            residual: true,
        };
        let key_values = KeyValueLayout::new(inner, inner, self.precision);
        Ok(Layer::Attention(Box::new(attention), key_values))
    }
}

/// Standard normal values, `[items, features]`, of the stream `name`.
fn draw(name: &str, items: usize, features: usize) -> Array2<f32> {
    let mut values = vec![0.0; items * features];
    Streams::new(1).stream(name).fill_normal(&mut values);
    Array2::from_shape_fn((items, features), |(i, j)| values[i * features + j])
}

impl Probe {
    /// Prepares an operation.
    ///
    /// # Errors
    /// A size is zero or threads cannot be started.
    pub fn new(operation: Operation, options: &EngineOptions) -> Result<Self> {
        let backend = Backend::new(options.precision);
        let source = WeightSource::drawn(0);
        let parts = Parts {
            source: &source,
            precision: options.precision,
        };
        let (layer, items, state, result_rows) = match operation {
            Operation::Projection {
                inputs,
                outputs,
                items,
            } => {
                let (layer, rows) = parts.projection(inputs, outputs, items)?;
                (layer, items, inputs, rows)
            }
            Operation::FeedForward {
                state,
                capacity,
                items,
            } => {
                let layer = parts.feed_forward(state, capacity, items)?;
                (layer, items, state, Layout::plain(state).rows())
            }
            Operation::Attention {
                heads,
                head_dim,
                items,
            } => {
                let layer = parts.attention((heads, head_dim), items, &backend)?;
                let state = heads * head_dim;
                (layer, items, state, Layout::plain(state).rows())
            }
        };
        let layout = Layout::plain(state);
        let states = draw("states", items, state);
        let states = Blocks::from_items(states.view(), layout);
        let blocks = items.div_ceil(WIDTH);
        let stored = match &layer {
            Layer::Attention(_, layout) => vec![Row([0.01; WIDTH]); blocks * layout.rows()],
            _ => Vec::new(),
        };
        let size = match &layer {
            Layer::Projection(layer) => ScratchSize {
                operand: layer.0.input_rows(),
                ..ScratchSize::default()
            },
            Layer::Attention(layer, _) => layer.scratch_size(),
            Layer::FeedForward(layer) => layer.scratch_size(),
        };
        let pool = ThreadPool::new(options.threads)?;
        Ok(Self {
            operation,
            layer,
            backend,
            thread_scratch: ThreadScratch::new(pool.threads(), size),
            pool,
            states: states.range(0, blocks).to_vec(),
            rows: layout.rows(),
            results: vec![Row::ZERO; blocks * result_rows],
            result_rows,
            stored,
        })
    }

    /// Runs the operation once on all items.
    pub fn run(&mut self) {
        let blocks = self.states.len() / self.rows;
        let (backend, layer, stored) = (&self.backend, &self.layer, &self.stored[..]);
        let items = match self.operation {
            Operation::Projection { items, .. }
            | Operation::Attention { items, .. }
            | Operation::FeedForward { items, .. } => items,
        };
        let states = (&mut self.states[..], self.rows);
        let results = (&mut self.results[..], self.result_rows);
        let workers = Workers {
            backend,
            pool: &self.pool,
            scratch: &self.thread_scratch,
        };
        self.pool.run(|| {
            workers.each_group(blocks, states, results, |at, x, y, scratch| match layer {
                Layer::Projection(layer) => {
                    let (layer, modulation) = layer.as_ref();
                    let target = Target::overwrite(y, layer.output_rows());
                    layer.apply(
                        backend,
                        modulation,
                        at.first,
                        x,
                        &mut scratch.operand,
                        target,
                    );
                }
                Layer::FeedForward(layer) => {
                    y.copy_from_slice(x);
                    layer.apply(backend, at.first, y, scratch);
                }
                Layer::Attention(layer, layout) => {
                    y.copy_from_slice(x);
                    let source = KeyValues {
                        stored,
                        layout: *layout,
                        items,
                        mask: None,
                    };
                    layer.apply(backend, at.first, y, &[source], scratch);
                }
            });
        });
    }

    /// Floating-point operations of a run that matter: two for each product of two numbers that is added to a sum, in
    /// matrix products only.
    #[must_use]
    pub fn operations(&self) -> f64 {
        let product = |a: usize, b: usize, c: usize| 2.0 * a as f64 * b as f64 * c as f64;
        match self.operation {
            Operation::Projection {
                inputs,
                outputs,
                items,
            } => product(inputs, outputs, items),
            Operation::Attention {
                heads,
                head_dim,
                items,
            } => {
                let inner = heads * head_dim;
                // Scores, values, and the exit projection that comes with them.
                2.0 * product(items, items, inner) + product(items, inner, inner)
            }
            Operation::FeedForward {
                state,
                capacity,
                items,
            } => product(items, state, 3 * capacity * state),
        }
    }
}
