//! What a forward pass needs besides its inputs: mode, noise, and a place for named intermediates.

use std::collections::{BTreeMap, VecDeque};

use nac_core::rng::Streams;
use tch::{Device, Kind, Tensor};

use crate::attention::PassLinks;
use crate::error::{ModuleError, Result};
use crate::tape::Tape;

/// Source of the random draws of a forward pass.
pub trait Noise {
    /// Draws from the uniform distribution on `[0, 1)`.
    ///
    /// `name` is the parameter path of the layer that asks, so that layers do not share a stream.
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn uniform(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor>;

    /// Draws from the standard normal distribution. `name` as for [`uniform`](Self::uniform).
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn normal(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor>;

    /// Draws from the exponential distribution of rate 1: `−log(1 − u)` of uniform draws, never zero.
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn exponential(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        let uniform = self.uniform(name, shape, kind, device)?;
        Ok(-(-uniform).f_log1p()?.f_clamp_max(-1e-30)?)
    }
}

/// Noise from named streams: a pure function of the streams' seed and the layer's name.
///
/// On the CPU values come from ChaCha8 streams. On other devices drawing them on the host would be the
/// bottleneck, so libtorch's generator of that device is seeded from the stream instead.
#[derive(Debug, Clone, Copy)]
pub struct StreamNoise {
    streams: Streams,
}

impl StreamNoise {
    /// Noise drawn from `streams`; give each training step a child of its own.
    pub fn new(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Noise for StreamNoise {
    fn uniform(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        if device != Device::Cpu {
            tch::manual_seed((self.streams.derive(name) >> 1) as i64);
            return Ok(Tensor::f_rand(shape, (kind, device))?);
        }
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let mut stream = self.streams.stream(name);
        if kind == Kind::Double {
            let mut values = vec![0.0_f64; count];
            stream.fill_uniform_f64(&mut values);
            return Ok(Tensor::f_from_slice(&values)?.f_view(shape)?);
        }
        let mut values = vec![0.0_f32; count];
        stream.fill_uniform(&mut values);
        Ok(Tensor::f_from_slice(&values)?
            .f_view(shape)?
            .f_to_kind(kind)?)
    }

    fn normal(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        if device != Device::Cpu {
            tch::manual_seed((self.streams.derive(name) >> 1) as i64);
            return Ok(Tensor::f_randn(shape, (kind, device))?);
        }
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let mut values = vec![0.0_f64; count];
        self.streams.stream(name).fill_normal_f64(&mut values);
        Ok(Tensor::f_from_slice(&values)?
            .f_view(shape)?
            .f_to_kind(kind)?)
    }
}

/// Noise replayed from recorded tensors, in call order. For tests and comparisons.
#[derive(Debug, Default)]
pub struct RecordedNoise {
    draws: VecDeque<Tensor>,
}

impl RecordedNoise {
    /// Replays `draws` in order.
    pub fn new(draws: impl IntoIterator<Item = Tensor>) -> Self {
        Self {
            draws: draws.into_iter().collect(),
        }
    }

    /// Draws not asked for yet.
    pub fn remaining(&self) -> usize {
        self.draws.len()
    }

    fn next(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        let found = self
            .draws
            .pop_front()
            .map(|t| t.to_kind(kind).to_device(device));
        match found {
            Some(tensor) if tensor.size() == shape => Ok(tensor),
            other => Err(ModuleError::Shape {
                op: "RecordedNoise",
                name: name.to_owned(),
                expected: format!("{shape:?}"),
                found: other.map(|t| t.size()).unwrap_or_default(),
            }),
        }
    }
}

/// Whatever the distribution, the next recorded draw is it.
impl Noise for RecordedNoise {
    fn uniform(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        self.next(name, shape, kind, device)
    }

    fn normal(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        self.next(name, shape, kind, device)
    }

    fn exponential(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        self.next(name, shape, kind, device)
    }
}

/// Mode, noise and named intermediates of one forward pass.
pub struct ForwardContext<'a> {
    training: bool,
    noise: &'a mut dyn Noise,
    calls: BTreeMap<String, u32>,
    intermediates: Option<BTreeMap<String, Tensor>>,
    tape: Option<&'a mut Tape>,
    links: PassLinks,
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
            noise,
            calls: BTreeMap::new(),
            intermediates: None,
            tape: None,
            links: PassLinks::default(),
        }
    }

    /// An evaluation pass.
    pub fn evaluation(noise: &'a mut dyn Noise) -> Self {
        Self {
            training: false,
            noise,
            calls: BTreeMap::new(),
            intermediates: None,
            tape: None,
            links: PassLinks::default(),
        }
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
    /// A layer that asks again in the same pass (shared propagators do) gets draws of their own: its `n`-th
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
        self.noise.uniform(&name, shape, kind, device)
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
        self.noise.normal(&name, shape, kind, device)
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
        self.noise.exponential(&name, shape, kind, device)
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

    /// Offers an intermediate under a name; free unless somebody asked for intermediates.
    pub fn record(&mut self, name: &str, tensor: &Tensor) {
        if let Some(kept) = &mut self.intermediates {
            kept.insert(name.to_owned(), tensor.shallow_clone());
        }
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
    fn stream_noise_depends_on_name_and_seed_only() {
        let draw = |seed, name| {
            StreamNoise::new(Streams::new(seed))
                .uniform(name, &[4, 3], Kind::Float, Device::Cpu)
                .unwrap()
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

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
    fn normal_and_exponential_draws_have_their_moments() {
        let mut noise = StreamNoise::new(Streams::new(1));
        let normal = noise
            .normal("n", &[20_000], Kind::Double, Device::Cpu)
            .unwrap();
        let exponential = noise
            .exponential("e", &[20_000], Kind::Double, Device::Cpu)
            .unwrap();
        let mean = |t: &Tensor| t.mean(None::<Kind>).double_value(&[]);
        assert!(mean(&normal).abs() < 0.04 && (mean(&normal.square()) - 1.0).abs() < 0.06);
        assert!((mean(&exponential) - 1.0).abs() < 0.04);
        assert!(exponential.min().double_value(&[]) > 0.0);
    }

    #[test]
    fn recorded_noise_refuses_another_shape() {
        let mut noise = RecordedNoise::new([Tensor::zeros([2], (Kind::Float, Device::Cpu))]);
        assert!(noise.uniform("a", &[3], Kind::Float, Device::Cpu).is_err());
        assert!(
            noise.uniform("a", &[3], Kind::Float, Device::Cpu).is_err(),
            "exhausted"
        );
    }
}
