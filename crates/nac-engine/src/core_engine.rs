//! The engine: a loaded model, its threads, and workspaces for calls in progress.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array2, ArrayViewMut2};

use super::backend::Backend;
use super::blocks::resize;
use super::body::Body;
use super::circuit::{Buffers, Observer, Plan, TokenCount, circuit, collect_states};
use super::conditional::Conditional;
use super::connectivity::Wiring;
use super::error::{EngineError, Result};
use super::input::Inputs;
use super::options::EngineOptions;
use super::perceiver_io::perceiver_io;
use super::scratch::{ScratchSize, ThreadScratch};
use super::simd::{Row, WIDTH};
use super::stem_only::StemOnly;
use super::thread_pool::{ThreadPool, Workers};
use super::tokenizer::{Tokenizer, TokenizerBuffers};
use super::weights::{ModelWeights, WeightScope, WeightSource};
use super::{Engine, InputSpec, OutputSpec, States};
use nac_core::model::{ModelFile, ModelKind};

/// Blocks of work that a pass should have for each thread, so that no thread waits for long.
const BLOCKS_PER_THREAD: usize = 8;

/// A trained model on plain threads, without libtorch.
///
/// It is `Sync`: any number of threads may call it at once; each call in progress has a separate workspace, which later
/// calls reuse, so that a call like an earlier one allocates nothing.
///
/// ```no_run
/// use nac_engine::{CoreEngine, Engine, Inputs};
/// use ndarray::Array4;
///
/// let engine = CoreEngine::load("model.toml", "model.safetensors", Default::default())?;
/// let image = Array4::<u8>::zeros((1, 3, 224, 224));
/// let logits = engine.infer(&Inputs::image(image.view()))?; // [batch, classes]
/// # Ok::<(), nac_engine::EngineError>(())
/// ```
#[derive(Debug)]
pub struct CoreEngine {
    file: ModelFile,
    tokenizer: Tokenizer,
    body: Body,
    backend: Backend,
    pool: ThreadPool,
    scratch_size: ScratchSize,
    idle: Mutex<Vec<Workspace>>,
}

/// What is loaded.
type Parts = (Tokenizer, Body, Backend);

/// Buffers of one call in progress.
#[derive(Debug)]
struct Workspace {
    thread_scratch: ThreadScratch,
    buffers: Buffers,
    tokenizer: TokenizerBuffers,
    pooled: Vec<Row>,
    confidence: Vec<f32>,
    logits: Vec<Row>,
    operand: Vec<Row>,
    /// Circuits of the examples of a pass, if they differ.
    plans: Vec<Arc<Plan>>,
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
        Self::new(file, &ModelWeights::read(weights)?, options)
    }

    /// A model of given settings and weights.
    ///
    /// # Errors
    /// A tensor is missing, has another shape or is not used ([`EngineError::MissingWeight`],
    /// [`EngineError::WeightShape`], [`EngineError::UnexpectedWeights`]); a setting is out of range or needs noise
    /// in evaluation ([`EngineError::Unsupported`]); or threads cannot be started.
    pub fn new(file: ModelFile, weights: &ModelWeights, options: EngineOptions) -> Result<Self> {
        let pool = ThreadPool::new(options.threads)?;
        let parts = pool.run(|| {
            let source = WeightSource::given(weights);
            let parts = Self::parts(&file, &source, options)?;
            source.all_read()?;
            Ok::<_, EngineError>(parts)
        });
        Ok(Self::assemble(file, parts?, pool))
    }

    /// Number of edges that the propagator `layer` goes over; `None` if the propagator is dense or does
    /// not exist.
    #[must_use]
    pub fn propagator_edges(&self, layer: usize) -> Option<usize> {
        self.body.plan()?.propagations.get(layer)?.step.edges()
    }

    /// Number of edges that the read-out goes over; `None` if it is dense.
    #[must_use]
    pub fn read_out_edges(&self) -> Option<usize> {
        self.body.plan()?.read_out.layer.step.edges()
    }

    fn assemble(file: ModelFile, (tokenizer, body, backend): Parts, pool: ThreadPool) -> Self {
        Self {
            scratch_size: body.scratch_size().max(tokenizer.scratch_size()),
            file,
            tokenizer,
            body,
            backend,
            pool,
            idle: Mutex::default(),
        }
    }

    /// Loads the model, on the thread pool if it is called there.
    fn parts(file: &ModelFile, source: &WeightSource<'_>, options: EngineOptions) -> Result<Parts> {
        let backend = Backend::new(options.precision);
        let EngineOptions {
            connectivity,
            min_link_probability,
            graph,
            ..
        } = options;
        let wiring = Wiring::new(connectivity, min_link_probability, graph)?;
        let root = WeightScope::root(source);
        file.inputs.check()?;
        file.output.check()?;
        let (model, classes) = (&file.model, file.output.width());
        if model.kind != ModelKind::Nac && !wiring.is_plain() {
            let reason = "it has no links that could be cut";
            return Err(EngineError::unsupported("model.kind", model.kind, reason));
        }
        let (tokenizer, body) = match model.kind {
            ModelKind::Nac => {
                let scope = root.sub("input_tokenizer");
                let tokenizer = Tokenizer::load(&scope, &file.inputs, model, &backend)?;
                let spec = model.circuit.resolve(tokenizer.token_dim(), classes)?;
                let options = (&backend, &wiring);
                let body = match model.resolve_condition(&spec.generator, &file.inputs)? {
                    None => Body::Plan(Box::new(circuit(&root, &spec, options)?)),
                    Some(text) => {
                        let loaded = Conditional::load(&root, (spec, text), options)?;
                        Body::Conditional(Box::new(loaded))
                    }
                };
                (tokenizer, body)
            }
            ModelKind::PerceiverIo => {
                let scope = root.sub("tokenizer");
                let tokenizer = Tokenizer::load(&scope, &file.inputs, model, &backend)?;
                let spec = model.perceiver_io.resolve(tokenizer.token_dim(), classes)?;
                let plan = perceiver_io(&root, &spec, &backend)?;
                (tokenizer, Body::Plan(Box::new(plan)))
            }
            ModelKind::StemOnly => {
                let scope = root.sub("tokenizer");
                let tokenizer = Tokenizer::load(&scope, &file.inputs, model, &backend)?;
                let spec = model.stem_only.resolve(tokenizer.token_dim(), classes)?;
                let stem = StemOnly::load(&root, &spec, &backend)?;
                (tokenizer, Body::StemOnly(Box::new(stem)))
            }
        };
        Ok((tokenizer, body, backend))
    }

    /// An untrained model with random weights, and those weights, for benchmarks and tests. `seed` fixes them.
    ///
    /// # Errors
    /// As [`CoreEngine::new`].
    pub fn random(
        file: ModelFile,
        seed: u64,
        options: EngineOptions,
    ) -> Result<(Self, ModelWeights)> {
        let pool = ThreadPool::new(options.threads)?;
        let built = pool.run(|| {
            let source = WeightSource::drawn(seed);
            let parts = Self::parts(&file, &source, options)?;
            Ok::<_, EngineError>((parts, source.weights()))
        });
        let (parts, drawn) = built?;
        Ok((Self::assemble(file, parts, pool), drawn))
    }

    /// Settings of the model.
    #[must_use]
    pub fn settings(&self) -> &ModelFile {
        &self.file
    }

    /// Number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Logits and intermediate states, by the names under which models on libtorch record them: `tokens`,
    /// `read_in.states`, `propagator.<layer>.states`, `processor.states` (after the last propagator), `read_out.states`.
    ///
    /// # Shapes
    /// - inputs: each `[batch, ...]`
    /// - logits: `[batch, width of the output]`
    /// - states: `[batch, modules, state]`
    ///
    /// # Errors
    /// As [`Engine::infer_into`].
    pub fn infer_with_states(&self, inputs: &Inputs<'_>) -> Result<(Array2<f32>, States)> {
        let mut logits = Array2::zeros((inputs.batch(), self.file.output.width()));
        let mut states = States::new();
        let mut observer = collect_states(&mut states, |name| self.width_of(name));
        self.run(inputs, logits.view_mut(), Some(&mut observer))?;
        drop(observer);
        Ok((logits, states))
    }

    /// Features of the states of a name.
    fn width_of(&self, name: &str) -> usize {
        let model = &self.file.model;
        match (model.kind, name) {
            (_, "tokens") | (ModelKind::StemOnly, _) => self.tokenizer.token_dim(),
            (ModelKind::PerceiverIo, "read_out.states") => model.perceiver_io.query_dim(),
            (ModelKind::PerceiverIo, _) => model.perceiver_io.latent_dim,
            (ModelKind::Nac, "read_out.states") if model.circuit.read_out.use_head => {
                self.file.output.width()
            }
            (ModelKind::Nac, _) => model.circuit.state_dim,
        }
    }

    fn run(
        &self,
        inputs: &Inputs<'_>,
        logits: ArrayViewMut2<'_, f32>,
        observer: Option<Observer<'_>>,
    ) -> Result<()> {
        let expected = [inputs.batch(), self.file.output.width()];
        if logits.shape() != expected {
            return Err(EngineError::OutputShape {
                op: "Engine::infer_into",
                expected: expected.to_vec(),
                found: logits.shape().to_vec(),
            });
        }
        inputs.check(&self.file.inputs)?;
        if inputs.batch() == 0 {
            return Ok(());
        }
        let mut workspace = self.take();
        let result = self.run_with(&mut workspace, inputs, logits, observer);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(workspace);
        result
    }

    fn take(&self) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_else(|| Workspace {
            thread_scratch: ThreadScratch::new(self.pool.threads(), self.scratch_size),
            buffers: Buffers::default(),
            tokenizer: TokenizerBuffers::default(),
            pooled: Vec::new(),
            confidence: Vec::new(),
            logits: Vec::new(),
            operand: vec![Row::ZERO; self.body.head().operand_rows()],
            plans: Vec::new(),
        })
    }

    /// Examples that go through the model together.
    fn wave(&self, batch: usize, observed: bool) -> usize {
        if observed {
            return batch;
        }
        let wanted = (BLOCKS_PER_THREAD * self.pool.threads()).div_ceil(self.body.blocks());
        let waves = batch.div_ceil(wanted);
        batch.div_ceil(waves)
    }

    fn run_with(
        &self,
        workspace: &mut Workspace,
        inputs: &Inputs<'_>,
        logits: ArrayViewMut2<'_, f32>,
        mut observer: Option<Observer<'_>>,
    ) -> Result<()> {
        let batch = inputs.batch();
        let ((modules, rows), head) = (self.body.outputs(), self.body.head());
        let outputs_size = modules.div_ceil(WIDTH) * rows;
        resize(&mut workspace.pooled, batch.div_ceil(WIDTH) * rows);
        let wave = self.wave(batch, observer.is_some());
        for first in (0..batch).step_by(wave) {
            let examples = first..batch.min(first + wave);
            let count = examples.len();
            // An observer sees one pass of all examples.
            let observer = observer
                .as_mut()
                .map(|observer| &mut **observer as Observer<'_>);
            self.pass(workspace, inputs, examples, observer)?;
            for example in 0..count {
                head.pool(
                    &workspace.buffers.outputs[example * outputs_size..][..outputs_size],
                    (modules, rows),
                    &mut workspace.pooled,
                    first + example,
                    &mut workspace.confidence,
                );
            }
        }
        let pooled = (&workspace.pooled[..], rows);
        let (operand, own) = (&mut workspace.operand, &mut workspace.logits);
        head.logits(&self.backend, pooled, operand, own, logits);
        Ok(())
    }

    fn pass(
        &self,
        workspace: &mut Workspace,
        inputs: &Inputs<'_>,
        examples: std::ops::Range<usize>,
        observer: Option<Observer<'_>>,
    ) -> Result<()> {
        let Workspace {
            thread_scratch: scratch,
            buffers,
            tokenizer,
            plans,
            ..
        } = workspace;
        let workers = Workers {
            backend: &self.backend,
            pool: &self.pool,
            scratch,
        };
        self.pool.run(|| {
            let range = examples.clone();
            let (tokens, masked) =
                (self.tokenizer).tokenize(&workers, inputs, range, buffers, tokenizer)?;
            self.body.expect_tokens("Engine::infer", tokens)?;
            let count = TokenCount {
                examples: examples.len(),
                tokens,
                masked,
            };
            let range = examples.clone();
            (self.body).plans(&workers, inputs, range, plans)?;
            (self.body).run(&workers, buffers, (count, plans), observer);
            Ok(())
        })
    }
}

impl Engine for CoreEngine {
    fn inputs(&self) -> &InputSpec {
        &self.file.inputs
    }

    fn output(&self) -> &OutputSpec {
        &self.file.output
    }

    fn infer_into(&self, inputs: &Inputs<'_>, logits: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.run(inputs, logits, None)
    }
}
