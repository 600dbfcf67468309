//! What every runner needs: the golden's tensors in the wanted numbers, its noise, and a place for comparisons.

use std::collections::{BTreeMap, BTreeSet};

use nac_core::rng::Streams;
use nac_modules::context::{ForwardContext, RecordedNoise};
use nac_modules::fused::{Coverage, FusedExecutor, TrainingPrecision};
use nac_modules::model::Inputs;
use nac_modules::params::ParamStore;
use nac_modules::tape::Tape;
use tch::{Device, Kind, Tensor};

use super::super::compare::{Comparison, compare};
use super::super::golden::{Golden, Mode};
use super::super::magnitude::largest_finite;
use super::super::options::{Engine, Options};
use super::super::tolerance::allowed;
use super::error::{CaseError, CaseResult};
use super::tape_gradients::{gradient_of, gradients_by_tape};

/// One case while it runs.
pub(super) struct Case<'r> {
    golden: &'r Golden,
    device: Device,
    kind: Kind,
    largest_gradient: f64,
    engine: Engine,
    comparisons: Vec<Comparison>,
    seen: BTreeSet<String>,
    noise: RecordedNoise,
    tape: Tape,
    fused: Option<FusedExecutor>,
}

impl<'r> Case<'r> {
    /// What has no class is a graph or a term of the loss; these are in `float32` at least, as in mixed precision.
    pub(super) fn new(golden: &'r Golden, options: &Options) -> CaseResult<Self> {
        let kind = match options.kind {
            Kind::BFloat16 if !golden.config().contains_key("cls") => Kind::Float,
            kind => kind,
        };
        let mut largest_gradient = 0.0_f64;
        for (_, tensor) in golden.below("grad.") {
            largest_gradient = largest_gradient.max(largest_finite(tensor)?);
        }
        let mut case = Self {
            golden,
            device: options.device,
            kind,
            largest_gradient,
            engine: options.engine,
            comparisons: Vec::new(),
            seen: BTreeSet::new(),
            noise: RecordedNoise::default(),
            tape: Tape::new(),
            fused: (options.engine == Engine::Fused)
                .then(|| FusedExecutor::new(1, TrainingPrecision::F32))
                .transpose()?,
        };
        case.replay(|_| true)?;
        Ok(case)
    }

    pub(super) fn golden(&self) -> &'r Golden {
        self.golden
    }

    /// What runs the layer.
    pub(super) fn engine(&self) -> Engine {
        self.engine
    }

    /// An empty store for the layer to be built; values are loaded, so none are drawn.
    pub(super) fn store(&self) -> ParamStore {
        ParamStore::sizes_only(self.device, self.kind)
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A recorded tensor by its full name, in the wanted numbers if it is of floating point.
    pub(super) fn tensor(&self, name: &str) -> CaseResult<Tensor> {
        match self.golden.tensors.get(name) {
            Some(tensor) => self.convert(tensor),
            None => Err(CaseError::Broken(format!("the golden has no `{name}`"))),
        }
    }

    fn convert(&self, tensor: &Tensor) -> CaseResult<Tensor> {
        let copy = if matches!(tensor.kind(), Kind::Float | Kind::Double) {
            tensor.f_to_kind(self.kind)?
        } else {
            tensor.shallow_clone()
        };
        Ok(copy.f_to_device(self.device)?.copy())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.golden.tensors.contains_key(name)
    }

    /// The input `in.<name>`; one of floating point takes a gradient.
    pub(super) fn input(&self, name: &str) -> CaseResult<Tensor> {
        let tensor = self.tensor(&format!("in.{name}"))?;
        Ok(if tensor.is_floating_point() {
            tensor.set_requires_grad(true)
        } else {
            tensor
        })
    }

    /// All inputs by name.
    pub(super) fn inputs(&self) -> CaseResult<BTreeMap<String, Tensor>> {
        let names = self.golden.below("in.");
        names
            .map(|(name, _)| Ok((name.to_owned(), self.input(name)?)))
            .collect()
    }

    /// The input `name` among [`inputs`](Self::inputs).
    pub(super) fn of<'t>(
        &self,
        inputs: &'t BTreeMap<String, Tensor>,
        name: &str,
    ) -> CaseResult<&'t Tensor> {
        inputs
            .get(name)
            .ok_or_else(|| CaseError::Broken(format!("the golden has no `in.{name}`")))
    }

    /// The size of dimension `dim` of the input `name`.
    pub(super) fn input_size(&self, name: &str, dim: usize) -> CaseResult<usize> {
        let tensor = self.golden.tensors.get(&format!("in.{name}"));
        let size = tensor.and_then(|t| t.size().get(dim).copied());
        size.and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| CaseError::Broken(format!("`in.{name}` has no dimension {dim}")))
    }

    /// An error unless the recorded tensor `name`, if there is one, is `[modules, modules]`.
    pub(super) fn expect_square(&self, name: &str, modules: usize) -> CaseResult<()> {
        let size = self.golden.tensors.get(name).map(Tensor::size);
        match size {
            Some(size) if size != [modules as i64; 2] => {
                let text = format!("`{name}` has shape {size:?}, for {modules} modules");
                Err(CaseError::Broken(text))
            }
            _ => Ok(()),
        }
    }

    /// Overwrites all parameters; every recorded one must exist and the other way round.
    pub(super) fn load(&self, store: &mut ParamStore) -> CaseResult<()> {
        let mut tensors = BTreeMap::new();
        for (name, tensor) in self.golden.below("param.") {
            tensors.insert(name.to_owned(), self.convert(tensor)?);
        }
        Ok(store.import(&self.golden.name, &tensors)?)
    }

    /// Makes the draws ready that `wanted` picks by name, in call order.
    pub(super) fn replay(&mut self, wanted: impl Fn(&str) -> bool) -> CaseResult<()> {
        let names = self.golden.metadata.noise_in_call_order.iter();
        let draws = names
            .filter(|name| wanted(name))
            .map(|name| self.tensor(name))
            .collect::<CaseResult<Vec<_>>>()?;
        self.noise = RecordedNoise::new(draws);
        Ok(())
    }

    /// A forward pass in the recorded mode with the noise that is ready.
    pub(super) fn pass(&mut self) -> ForwardContext<'_> {
        let pass = match self.golden.metadata.mode {
            Mode::Train => ForwardContext::training(&mut self.noise),
            Mode::Eval => ForwardContext::evaluation().with_noise(&mut self.noise),
        };
        match &self.fused {
            Some(executor) => pass.with_tape(&mut self.tape).with_fused(executor),
            None => pass,
        }
    }

    /// What fused blocks run on, if they are wanted.
    pub(super) fn executor(&self) -> Option<&FusedExecutor> {
        self.fused.as_ref()
    }

    /// Fused blocks that ran.
    pub(super) fn fused_blocks(&self) -> usize {
        self.fused.as_ref().map_or(0, FusedExecutor::blocks_run)
    }

    /// An error unless all covered blocks of `part`, which ran, ran fused, if fused blocks are wanted.
    pub(super) fn expect_fused(&self, part: &dyn Coverage) -> CaseResult<()> {
        let blocks = part.coverage();
        let covered = blocks.iter().filter(|block| block.reason.is_none()).count();
        let ran = self.fused_blocks();
        if self.engine != Engine::Fused || ran >= covered {
            return Ok(());
        }
        let text = format!("{ran} fused blocks ran where {covered} are covered");
        Err(CaseError::Different(text))
    }

    /// An error unless every recorded draw was used.
    pub(super) fn noise_is_used(&self) -> CaseResult<()> {
        match self.noise.remaining() {
            0 => Ok(()),
            left => Err(CaseError::Different(format!(
                "{left} recorded draws were not asked for"
            ))),
        }
    }

    /// Compares one tensor by its full name.
    pub(super) fn check(&mut self, name: &str, ours: &Tensor) -> CaseResult<()> {
        self.check_with_room(name, ours, 0.0)
    }

    /// Compares one tensor with more room, for a reason said where it is called.
    pub(super) fn check_with_room(
        &mut self,
        name: &str,
        ours: &Tensor,
        room: f64,
    ) -> CaseResult<()> {
        let Some(recorded) = self.golden.tensors.get(name) else {
            return Err(CaseError::Broken(format!("the golden has no `{name}`")));
        };
        let largest = largest_finite(recorded)?;
        let mut allowed = allowed(self.golden, name, self.kind, largest, self.largest_gradient)?;
        allowed.error += room;
        self.comparisons
            .push(compare(name, ours, recorded, allowed)?);
        self.seen.insert(name.to_owned());
        Ok(())
    }

    /// The recorded noise floor of a tensor.
    pub(super) fn floor(&self, name: &str) -> f64 {
        let floor = self.golden.metadata.f32_vs_f64.get(name);
        floor.map_or(0.0, |floor| floor.max_abs_err)
    }

    /// Adds a comparison that was made elsewhere.
    pub(super) fn add(&mut self, comparison: Comparison) {
        self.seen.insert(comparison.tensor.clone());
        self.comparisons.push(comparison);
    }

    /// Compares one tensor if it is recorded.
    pub(super) fn check_if_recorded(&mut self, name: &str, ours: &Tensor) -> CaseResult<()> {
        if self.has(name) {
            self.check(name, ours)
        } else {
            Ok(())
        }
    }

    /// Compares every recorded gradient below `prefix` (`grad.`, or `grad.<output>.`) with those that `loss` gives, if
    /// the engine has gradients.
    pub(super) fn check_gradients(
        &mut self,
        prefix: &str,
        loss: &Tensor,
        inputs: &BTreeMap<String, Tensor>,
        store: Option<&ParamStore>,
    ) -> CaseResult<()> {
        if self.engine == Engine::Core {
            return Ok(());
        }
        let by_tape = gradients_by_tape(&mut self.tape, loss, inputs, store)?;
        if loss.requires_grad() && by_tape.is_none() {
            loss.f_backward()?;
        }
        let golden = self.golden;
        let metadata = &golden.metadata;
        for (rest, recorded) in golden.below(prefix) {
            let tensor = if let Some(name) = rest.strip_prefix("in.") {
                inputs.get(name)
            } else if let Some(name) = rest.strip_prefix("param.") {
                let name = metadata
                    .param_aliases
                    .get(name)
                    .map_or(name, String::as_str);
                store.and_then(|store| store.get(name))
            } else {
                continue;
            };
            let Some(tensor) = tensor else {
                return Err(CaseError::Different(format!(
                    "there is nothing called `{rest}`"
                )));
            };
            // Without a path to the loss the gradient is zero.
            let gradient = match gradient_of(tensor, by_tape.as_deref()) {
                Some(gradient) => gradient,
                None => recorded.f_zeros_like()?,
            };
            self.check(&format!("{prefix}{rest}"), &gradient)?;
        }
        for name in &metadata.params_without_grad {
            let tensor = store.and_then(|s| s.get(name));
            if let Some(gradient) = tensor.and_then(|t| gradient_of(t, by_tape.as_deref()))
                && largest_finite(&gradient)? > 0.0
            {
                return Err(CaseError::Different(format!(
                    "`{name}` has a gradient, recorded without"
                )));
            }
        }
        Ok(())
    }

    /// Compares outputs and the sum of squares of their finite entries, then the gradients of this loss.
    pub(super) fn check_squares(
        &mut self,
        outputs: &[(&str, &Tensor)],
        inputs: &BTreeMap<String, Tensor>,
        store: Option<&ParamStore>,
    ) -> CaseResult<()> {
        let mut loss = Tensor::f_zeros([0_i64; 0].as_slice(), (self.kind, self.device))?;
        for (name, output) in outputs {
            self.check(&format!("out.{name}"), output)?;
            loss = loss.f_add(&squares(output)?)?;
        }
        self.check_if_recorded("out.loss", &loss)?;
        self.check_gradients("grad.", &loss, inputs, store)
    }

    /// Ends the case: every recorded output must have been compared, and every gradient if the engine has gradients.
    /// Gives the comparisons, and the number of gradients that were left out.
    pub(super) fn finish(self) -> (Vec<Comparison>, usize) {
        let mut comparisons = self.comparisons;
        let mut left_out = 0;
        for name in self.golden.tensors.keys() {
            let is_gradient = name.starts_with("grad.");
            if !(name.starts_with("out.") || is_gradient) || self.seen.contains(name) {
                continue;
            }
            if is_gradient && self.engine == Engine::Core {
                left_out += 1;
                continue;
            }
            comparisons.push(Comparison::failed(
                name,
                "in the golden, but not compared".into(),
            ));
        }
        (comparisons, left_out)
    }
}

/// Sum of the squares of all finite entries.
pub(super) fn squares(output: &Tensor) -> CaseResult<Tensor> {
    let finite = output.f_isfinite()?;
    Ok(output
        .f_masked_select(&finite)?
        .f_square()?
        .f_sum(output.kind())?)
}

/// Inputs of a model from named tensors.
pub(super) fn model_inputs(tensors: &BTreeMap<String, Tensor>) -> Inputs {
    tensors
        .iter()
        .fold(Inputs::new(), |inputs, (name, tensor)| {
            inputs.with(name, tensor.shallow_clone())
        })
}

/// Streams for what a golden does not pin.
pub(super) fn streams() -> Streams {
    Streams::new(0)
}
