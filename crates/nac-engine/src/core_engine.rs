//! The engine: a loaded model, its threads, and buffers that callers take turns with.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array2, ArrayViewMut2};

use super::circuit::plan::{Buffers, TokenCount, Watch, fit};
use super::circuit::{Plan, circuit, collect};
use super::connectivity::{Connectivity, Wiring};
use super::error::{EngineError, Result};
use super::head::Head;
use super::input::Input;
use super::layer::{Precision, Tools};
use super::perceiver_io::perceiver_io;
use super::simd::{Row, WIDTH};
use super::team::{Desks, Room, Team};
use super::tokenizer::{Tokenizer, TokenizerBuffers};
use super::weights::{Scope, Source, Weights};
use super::{Engine, InputSpec, States};
use nac_core::Csr;
use nac_core::model::{ModelFile, ModelKind};

/// Blocks of work for each thread that a pass should have, so that no thread waits for long.
const BLOCKS_PER_THREAD: usize = 8;

/// How a model is run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineOptions {
    /// Number of threads; 0, the default, for as many as the machine has. With 1, everything runs on the thread of the
    /// caller.
    pub threads: usize,
    /// Numbers that matrix products take. Default single precision.
    pub precision: Precision,
    /// Whether modules hear each other along edges or all at once; the result is the same. Default
    /// [`Connectivity::Auto`].
    pub connectivity: Connectivity,
    /// Cuts links between modules with a probability below this, in `(0, 1]`, in propagators and read-out. Default
    /// none.
    ///
    /// This changes what the model computes: it was trained with all its links. A module that has only weaker links to
    /// its own kind keeps its self link, unless the kernel eliminates these.
    pub min_link_probability: Option<f64>,
    /// Edges between processors, `[receivers, senders]`, instead of those that their signatures say, in all
    /// propagators: for example a graph that was drawn with [`hard_sample_from`](nac_core::hard_sample_from). Default
    /// none.
    ///
    /// The weight of an edge is its log link probability, added to the scores; edges without weights have zero. A module
    /// without edges hears nothing. `min_link_probability` leaves this graph as it is.
    pub graph: Option<Arc<Csr>>,
}

/// A trained model on plain threads, without libtorch.
///
/// It is `Sync`: any number of threads may call it at once; each call in progress has buffers of its own, which later
/// calls use again, so that a call like an earlier one allocates nothing.
///
/// ```no_run
/// use nac_engine::{CoreEngine, Engine, Input};
/// use ndarray::Array4;
///
/// let engine = CoreEngine::load("model.toml", "model.safetensors", Default::default())?;
/// let image = Array4::zeros((1, 3, 224, 224));
/// let logits = engine.infer(Input::Image(image.view()))?; // [batch, classes]
/// # Ok::<(), nac_engine::EngineError>(())
/// ```
#[derive(Debug)]
pub struct CoreEngine {
    file: ModelFile,
    tokenizer: Tokenizer,
    plan: Plan,
    tools: Tools,
    team: Team,
    room: Room,
    idle: Mutex<Vec<Workplace>>,
}

/// What is loaded.
type Parts = (Tokenizer, Plan, Tools);

/// Buffers of one call in progress.
#[derive(Debug)]
struct Workplace {
    desks: Desks,
    buffers: Buffers,
    tokenizer: TokenizerBuffers,
    pooled: Vec<Row>,
    confidence: Vec<f32>,
    logits: Vec<Row>,
    operand: Vec<Row>,
}

impl CoreEngine {
    /// Reads settings (TOML, see [`ModelFile`]) and weights (safetensors).
    ///
    /// # Errors
    /// A file cannot be read, or as [`CoreEngine::new`].
    pub fn load(
        settings: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        options: EngineOptions,
    ) -> Result<Self> {
        let file = ModelFile::read(settings.as_ref())?;
        Self::new(file, &Weights::read(weights)?, options)
    }

    /// A model of given settings and weights.
    ///
    /// # Errors
    /// A tensor is missing, has another shape or no place ([`EngineError::MissingWeight`],
    /// [`EngineError::WeightShape`], [`EngineError::UnexpectedWeights`]); a setting is out of range or needs noise
    /// in evaluation ([`EngineError::Unsupported`]); or threads cannot be started.
    pub fn new(file: ModelFile, weights: &Weights, options: EngineOptions) -> Result<Self> {
        let team = Team::new(options.threads)?;
        let parts = team.run(|| {
            let source = Source::given(weights);
            let parts = Self::parts(&file, &source, options)?;
            source.all_read()?;
            Ok::<_, EngineError>(parts)
        });
        Ok(Self::assemble(file, parts?, team))
    }

    /// Number of edges that the propagator `layer` goes over; `None` if all its modules look at all of them, or if there
    /// is no such layer.
    #[must_use]
    pub fn propagator_edges(&self, layer: usize) -> Option<usize> {
        self.plan.propagations.get(layer)?.step.edges()
    }

    /// Number of edges that the read-out goes over; `None` if all its modules look at all processors.
    #[must_use]
    pub fn read_out_edges(&self) -> Option<usize> {
        self.plan.read_out.layer.step.edges()
    }

    fn assemble(file: ModelFile, (tokenizer, plan, tools): Parts, team: Team) -> Self {
        Self {
            room: plan.room().or(tokenizer.room()),
            file,
            tokenizer,
            plan,
            tools,
            team,
            idle: Mutex::default(),
        }
    }

    /// Loads the model; on the threads of the team if it is called there.
    fn parts(file: &ModelFile, source: &Source<'_>, options: EngineOptions) -> Result<Parts> {
        let tools = Tools::new(options.precision);
        let EngineOptions {
            connectivity,
            min_link_probability,
            graph,
            ..
        } = options;
        let wiring = Wiring::new(connectivity, min_link_probability, graph)?;
        let root = Scope::root(source);
        let (model, classes) = (&file.model, file.classes);
        let (tokenizer, plan) = match model.kind {
            ModelKind::Nac => {
                let scope = root.sub("input_tokenizer");
                let tokenizer = Tokenizer::load(&scope, file.input, model, &tools)?;
                let config = &model.circuit;
                let scope = root.sub("latent_graphs.0");
                let widths = (tokenizer.token_dim(), classes);
                let head = |width: usize| {
                    let scope = root.sub("output_tokenizer");
                    Head::load(&scope, width, classes, &config.head, &tools)
                };
                let plan = circuit(&scope, head, widths, config, (&tools, &wiring))?;
                (tokenizer, plan)
            }
            ModelKind::PerceiverIo => {
                if !wiring.is_plain() {
                    let reason = "its latents have no links that could be cut";
                    return Err(EngineError::unsupported("model.kind", model.kind, reason));
                }
                let scope = root.sub("tokenizer");
                let tokenizer = Tokenizer::load(&scope, file.input, model, &tools)?;
                let widths = (tokenizer.token_dim(), classes);
                let plan = perceiver_io(&root, widths, &model.perceiver_io, &tools)?;
                (tokenizer, plan)
            }
        };
        Ok((tokenizer, plan, tools))
    }

    /// A model with random weights, and those weights: for benchmarks and tests, since nobody trained it. `seed` fixes
    /// them.
    ///
    /// # Errors
    /// As [`CoreEngine::new`].
    pub fn random(file: ModelFile, seed: u64, options: EngineOptions) -> Result<(Self, Weights)> {
        let team = Team::new(options.threads)?;
        let built = team.run(|| {
            let source = Source::drawn(seed);
            let parts = Self::parts(&file, &source, options)?;
            Ok::<_, EngineError>((parts, source.into_drawn().unwrap_or_default()))
        });
        let (parts, drawn) = built?;
        Ok((Self::assemble(file, parts, team), drawn))
    }

    /// Settings of the model.
    #[must_use]
    pub fn settings(&self) -> &ModelFile {
        &self.file
    }

    /// Number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Logits together with states on the way, by the names under which models on libtorch record them: `tokens`,
    /// `read_in.states`, `propagator.<layer>.states`, `processor.states` (after the last propagator), `read_out.states`.
    ///
    /// # Shapes
    /// - input: `[batch, ...]`
    /// - logits: `[batch, classes]`
    /// - states: `[batch, modules, state]`
    ///
    /// # Errors
    /// As [`Engine::infer_into`].
    pub fn infer_with_states(&self, input: Input<'_>) -> Result<(Array2<f32>, States)> {
        let mut logits = Array2::zeros((input.batch(), self.file.classes));
        let mut states = States::new();
        let mut watch = collect(&mut states, |name| self.width_of(name));
        self.run(input, logits.view_mut(), Some(&mut watch))?;
        drop(watch);
        Ok((logits, states))
    }

    /// Features of what is watched under a name.
    fn width_of(&self, name: &str) -> usize {
        let model = &self.file.model;
        match (model.kind, name) {
            (_, "tokens") => self.tokenizer.token_dim(),
            (ModelKind::PerceiverIo, "read_out.states") => model.perceiver_io.query_dim(),
            (ModelKind::PerceiverIo, _) => model.perceiver_io.latent_dim,
            (ModelKind::Nac, "read_out.states") if model.circuit.read_out.use_head => {
                self.file.classes
            }
            (ModelKind::Nac, _) => model.circuit.state_dim,
        }
    }

    fn run(
        &self,
        input: Input<'_>,
        logits: ArrayViewMut2<'_, f32>,
        watch: Option<Watch<'_>>,
    ) -> Result<()> {
        let expected = [input.batch(), self.file.classes];
        if logits.shape() != expected {
            return Err(EngineError::OutputShape {
                op: "Engine::infer_into",
                expected: expected.to_vec(),
                found: logits.shape().to_vec(),
            });
        }
        if input.batch() == 0 {
            return Ok(());
        }
        let mut workplace = self.take();
        let result = self.at(&mut workplace, input, logits, watch);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(workplace);
        result
    }

    fn take(&self) -> Workplace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_else(|| Workplace {
            desks: Desks::new(self.team.threads(), self.room),
            buffers: Buffers::default(),
            tokenizer: TokenizerBuffers::default(),
            pooled: Vec::new(),
            confidence: Vec::new(),
            logits: Vec::new(),
            operand: vec![Row::ZERO; self.plan.head.room()],
        })
    }

    /// Examples that go through the model together.
    fn wave(&self, batch: usize, watched: bool) -> usize {
        if watched {
            return batch;
        }
        let wanted = (BLOCKS_PER_THREAD * self.team.threads()).div_ceil(self.plan.blocks());
        let waves = batch.div_ceil(wanted);
        batch.div_ceil(waves)
    }

    fn at(
        &self,
        workplace: &mut Workplace,
        input: Input<'_>,
        logits: ArrayViewMut2<'_, f32>,
        mut watch: Option<Watch<'_>>,
    ) -> Result<()> {
        let batch = input.batch();
        let rows = self.plan.output_rows();
        let modules = self.plan.read_out.count;
        let answer = modules.div_ceil(WIDTH) * rows;
        fit(&mut workplace.pooled, batch.div_ceil(WIDTH) * rows);
        let wave = self.wave(batch, watch.is_some());
        for first in (0..batch).step_by(wave) {
            let examples = first..batch.min(first + wave);
            let Workplace {
                desks,
                buffers,
                tokenizer,
                ..
            } = &mut *workplace;
            let (tools, team) = (&self.tools, &self.team);
            let count = examples.len();
            // A watcher sees one pass of all examples.
            let watch = watch.as_mut().map(|watch| &mut **watch as Watch<'_>);
            self.pass(
                tools, team, desks, &input, examples, buffers, tokenizer, watch,
            )?;
            for example in 0..count {
                self.plan.head.pool(
                    &workplace.buffers.outputs[example * answer..][..answer],
                    (modules, rows),
                    &mut workplace.pooled,
                    first + example,
                    &mut workplace.confidence,
                );
            }
        }
        let pooled = (&workplace.pooled[..], rows);
        let (room, own) = (&mut workplace.operand, &mut workplace.logits);
        self.plan
            .head
            .logits(&self.tools, pooled, room, own, logits);
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "a run has that many parts")]
    fn pass(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        input: &Input<'_>,
        examples: std::ops::Range<usize>,
        buffers: &mut Buffers,
        tokenizer: &mut TokenizerBuffers,
        watch: Option<Watch<'_>>,
    ) -> Result<()> {
        team.run(|| {
            let (tokens, masked) = self.tokenizer.tokenize(
                tools,
                team,
                desks,
                input,
                examples.clone(),
                buffers,
                tokenizer,
            )?;
            self.plan.expect_tokens("Engine::infer", tokens)?;
            let count = TokenCount {
                examples: examples.len(),
                tokens,
                masked,
            };
            self.plan.run(tools, team, desks, buffers, count, watch);
            Ok(())
        })
    }
}

impl Engine for CoreEngine {
    fn input(&self) -> InputSpec {
        self.file.input
    }

    fn classes(&self) -> usize {
        self.file.classes
    }

    fn infer_into(&self, input: Input<'_>, logits: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.run(input, logits, None)
    }
}
