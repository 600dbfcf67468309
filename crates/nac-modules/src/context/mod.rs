//! What a forward pass needs besides its inputs: mode, noise, and a store for named intermediates.
//!
//! ```
//! use nac_core::Streams;
//! use nac_modules::context::{ForwardContext, StreamNoise};
//!
//! let ctx = ForwardContext::evaluation().with_intermediates();
//! assert!(!ctx.is_training());
//! let mut noise = StreamNoise::new(Streams::new(42).child("step 0"));
//! assert!(ForwardContext::training(&mut noise).is_training());
//! ```

mod noise;

use std::collections::BTreeMap;

use nac_core::rng::Streams;
use tch::{Device, Kind, Tensor};

pub use noise::{Noise, RecordedNoise, StreamNoise};

use crate::attention::PassLinks;
use crate::error::Result;
use crate::fused::FusedExecutor;
use crate::tape::Tape;

/// Mode, noise and named intermediates of one forward pass.
pub struct ForwardContext<'a> {
    training: bool,
    noise: Source<'a>,
    calls: BTreeMap<String, u32>,
    intermediates: Option<BTreeMap<String, Tensor>>,
    tape: Option<&'a mut Tape>,
    fused: Option<FusedExecutor>,
    links: PassLinks,
}

/// Where the draws of a pass come from.
enum Source<'a> {
    Seeded(StreamNoise),
    Given(&'a mut dyn Noise),
}

impl Source<'_> {
    fn get(&mut self) -> &mut dyn Noise {
        match self {
            Self::Seeded(noise) => noise,
            Self::Given(noise) => *noise,
        }
    }
}

impl std::fmt::Debug for ForwardContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForwardContext")
            .field("training", &self.training)
            .finish_non_exhaustive()
    }
}

impl<'a> ForwardContext<'a> {
    /// A training pass: links are sampled, drop-path is active.
    pub fn training(noise: &'a mut dyn Noise) -> Self {
        Self {
            training: true,
            ..Self::evaluation().with_noise(noise)
        }
    }

    /// An evaluation pass.
    ///
    /// Few models draw in evaluation (links that are sampled there too, state noise). They get the same draws in each
    /// pass, those of seed 0, unless there is a source [`with_noise`](Self::with_noise).
    pub fn evaluation() -> Self {
        Self {
            training: false,
            noise: Source::Seeded(StreamNoise::new(Streams::new(0))),
            calls: BTreeMap::new(),
            intermediates: None,
            tape: None,
            fused: None,
            links: PassLinks::default(),
        }
    }

    /// Draws from `noise`.
    #[must_use]
    pub fn with_noise(mut self, noise: &'a mut dyn Noise) -> Self {
        self.noise = Source::Given(noise);
        self
    }

    /// Keeps the tensors that layers [`record`](Self::record).
    #[must_use]
    pub fn with_intermediates(mut self) -> Self {
        self.intermediates = Some(BTreeMap::new());
        self
    }

    /// Lets layers record recompute nodes on `tape`; gradients then come from [`Tape::backward`] alone.
    #[must_use]
    pub fn with_tape(mut self, tape: &'a mut Tape) -> Self {
        self.tape = Some(tape);
        self
    }

    /// Lets layers that [`coverage`](crate::fused::coverage) lists as covered run as fused blocks, if the pass has a
    /// tape. See [`FusedExecutor`] for how long the tensors of the pass are valid.
    #[must_use]
    pub fn with_fused(mut self, executor: &FusedExecutor) -> Self {
        self.fused = Some(executor.clone());
        self
    }

    /// What fused blocks of `kind` on `device` run on and are recorded on, if they may run in this pass.
    pub(crate) fn fused(
        &mut self,
        kind: Kind,
        device: Device,
    ) -> Option<(FusedExecutor, &mut Tape)> {
        if (kind, device) != (Kind::Float, Device::Cpu) {
            return None;
        }
        let executor = self.fused.clone()?;
        Some((executor, self.tape.as_deref_mut()?))
    }

    /// Whether fused blocks of `kind` on `device` may run in this pass.
    pub(crate) fn may_fuse(&self, kind: Kind, device: Device) -> bool {
        let place = (kind, device) == (Kind::Float, Device::Cpu);
        place && self.fused.is_some() && self.tape.is_some()
    }

    /// The tape, if this pass has one.
    pub fn tape(&mut self) -> Option<&mut Tape> {
        self.tape.as_deref_mut()
    }

    /// Whether this pass has a tape.
    pub fn has_tape(&self) -> bool {
        self.tape.is_some()
    }

    /// [`Tape::detached_leaf`] with a tape, the tensor itself without.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn detached_leaf(&mut self, tensor: &Tensor) -> Result<Tensor> {
        match &mut self.tape {
            Some(tape) => tape.detached_leaf(tensor),
            None => Ok(tensor.shallow_clone()),
        }
    }

    /// As [`detached_leaf`](Self::detached_leaf) if fused blocks may run, the tensor itself if not.
    pub(crate) fn fused_leaf(&mut self, tensor: &Tensor) -> Result<Tensor> {
        if self.may_fuse(tensor.kind(), tensor.device()) {
            return self.detached_leaf(tensor);
        }
        Ok(tensor.shallow_clone())
    }

    /// Link probabilities that layers of this pass computed.
    pub(crate) fn links(&mut self) -> &mut PassLinks {
        &mut self.links
    }

    /// Whether this is a training pass.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Uniform draws for the layer `name`. See [`Noise::uniform`].
    ///
    /// A layer that asks again in the same pass (shared propagators do) gets other draws: its `n`-th
    /// repetition asks the source for `name#n`.
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn uniform(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise.get().uniform(&name, shape, kind, device)
    }

    /// Standard normal draws for the layer `name`. See [`Noise::normal`].
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn normal(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise.get().normal(&name, shape, kind, device)
    }

    /// Draws from the exponential distribution of rate 1 for the layer `name`. See [`Noise::exponential`].
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn exponential(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise.get().exponential(&name, shape, kind, device)
    }

    /// [`uniform`](Self::uniform) draws of `[batch, …]`, keyed by example. See [`Noise::uniform_per_example`].
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn uniform_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise
            .get()
            .uniform_per_example(&name, shape, kind, device)
    }

    /// [`normal`](Self::normal) draws of `[batch, …]`, keyed by example. See [`Noise::normal_per_example`].
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn normal_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise
            .get()
            .normal_per_example(&name, shape, kind, device)
    }

    /// [`exponential`](Self::exponential) draws of `[batch, …]`, keyed by example. See [`Noise::exponential_per_example`].
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    pub fn exponential_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let name = self.fresh(name);
        self.noise
            .get()
            .exponential_per_example(&name, shape, kind, device)
    }

    fn fresh(&mut self, name: &str) -> String {
        match self.calls.get_mut(name) {
            Some(count) => {
                *count += 1;
                format!("{name}#{count}")
            }
            None => {
                self.calls.insert(name.to_owned(), 0);
                name.to_owned()
            }
        }
    }

    /// Offers an intermediate under a name; free unless intermediates are recorded.
    pub fn record(&mut self, name: &str, tensor: &Tensor) {
        if let Some(kept) = &mut self.intermediates {
            // Fused blocks write into the same memory in the next pass.
            let own = match &self.fused {
                Some(_) => tensor.copy(),
                None => tensor.shallow_clone(),
            };
            kept.insert(name.to_owned(), own);
        }
    }

    /// Runs `part` of a pass without recording its intermediates, whose names are those of another part.
    pub(crate) fn unrecorded<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        let kept = self.intermediates.take();
        let result = part(self);
        self.intermediates = kept;
        result
    }

    /// Takes what was recorded.
    pub fn take_intermediates(&mut self) -> BTreeMap<String, Tensor> {
        self.intermediates.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_asks_twice_gets_other_draws() {
        let mut noise = StreamNoise::new(Streams::new(1));
        let alone = noise.uniform("a", &[3], Kind::Float, Device::Cpu).unwrap();
        let mut ctx = ForwardContext::training(&mut noise);
        let mut draw = || ctx.uniform("a", &[3], Kind::Float, Device::Cpu).unwrap();
        assert_eq!(draw(), alone);
        assert_ne!(draw(), alone);
    }

    #[test]
    fn evaluation_draws_from_a_fixed_seed_unless_a_source_is_given() {
        let draw =
            |mut ctx: ForwardContext<'_>| ctx.normal("a", &[3], Kind::Float, Device::Cpu).unwrap();
        let seeded = draw(ForwardContext::evaluation());
        assert_eq!(seeded, draw(ForwardContext::evaluation()));
        let mut noise = StreamNoise::new(Streams::new(1));
        let given = ForwardContext::evaluation().with_noise(&mut noise);
        assert_ne!(seeded, draw(given));
    }
}
