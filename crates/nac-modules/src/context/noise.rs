//! Random draws of forward passes: from seeded streams, or replayed.
//!
//! Draws come in two kinds. Those of weights and codes that a whole batch shares are the same whichever examples the
//! batch has. Those `per_example` have the batch as their first dimension, and a row is keyed by the example's position
//! in the global batch: processes that share a batch draw for their examples what one process would draw for all.

use std::collections::VecDeque;

use nac_core::rng::{Stream, Streams};
use tch::{Device, Kind, Tensor};

use crate::error::{ModuleError, Result};

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
        exponential_of(&self.uniform(name, shape, kind, device)?)
    }

    /// [`uniform`](Self::uniform) draws of `[batch, …]`, each example's keyed by its position in the global batch.
    ///
    /// A source without a notion of position draws as for any other shape.
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn uniform_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        self.uniform(name, shape, kind, device)
    }

    /// [`normal`](Self::normal) draws as [`uniform_per_example`](Self::uniform_per_example).
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn normal_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        self.normal(name, shape, kind, device)
    }

    /// [`exponential`](Self::exponential) draws as [`uniform_per_example`](Self::uniform_per_example).
    ///
    /// # Errors
    /// The source cannot deliver this shape.
    fn exponential_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        exponential_of(&self.uniform_per_example(name, shape, kind, device)?)
    }
}

/// Exponential draws of rate 1 from uniform ones.
fn exponential_of(uniform: &Tensor) -> Result<Tensor> {
    Ok(-(-uniform).f_log1p()?.f_clamp_max(-1e-30)?)
}

/// Words of a stream that belong to one example: more than any layer draws for it.
const WORDS_PER_EXAMPLE: u128 = 1 << 40;

/// Noise from named streams: a pure function of the streams' seed, the layer's name and, for draws per example, the
/// example's position in the global batch.
///
/// On the CPU values come from ChaCha8 streams. On other devices drawing them on the host would be the
/// bottleneck, so libtorch's generator of that device is seeded from the stream (and the position of the first example)
/// instead; a batch that several processes share then gets other draws than in one process.
#[derive(Debug, Clone, Copy)]
pub struct StreamNoise {
    streams: Streams,
    first_example: u64,
}

impl StreamNoise {
    /// Noise drawn from `streams`; give each training step its own child.
    pub fn new(streams: Streams) -> Self {
        Self {
            streams,
            first_example: 0,
        }
    }

    /// Noise for a part of a batch whose first example is the batch's `first_example`-th, from zero.
    #[must_use]
    pub fn starting_at(mut self, first_example: u64) -> Self {
        self.first_example = first_example;
        self
    }

    /// Seeds libtorch's generators from the stream `name`.
    fn seed(&self, name: &str) {
        tch::manual_seed((self.streams.derive(name) >> 1) as i64);
    }

    /// [`seed`](Self::seed) for draws of the examples from the first one on.
    fn seed_examples(&self, name: &str) {
        if self.first_example == 0 {
            self.seed(name);
        } else {
            self.seed(&format!("{name}@{}", self.first_example));
        }
    }

    /// `shape` filled by `fill` from the stream `name`.
    fn shared<T: Copy + Default + tch::kind::Element>(
        &self,
        name: &str,
        shape: &[i64],
        fill: impl Fn(&mut Stream, &mut [T]),
    ) -> Result<Tensor> {
        let mut values = vec![T::default(); count(shape)];
        fill(&mut self.streams.stream(name), &mut values);
        Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
    }

    /// `[batch, …]` filled by `fill`, row by row, each from its example's part of the stream `name`.
    fn by_example<T: Copy + Default + tch::kind::Element>(
        &self,
        name: &str,
        shape: &[i64],
        fill: impl Fn(&mut Stream, &mut [T]),
    ) -> Result<Tensor> {
        let mut values = vec![T::default(); count(shape)];
        let mut stream = self.streams.stream(name);
        let one = count(shape.get(1..).unwrap_or_default()).max(1);
        for (row, example) in values.chunks_mut(one).zip(self.first_example..) {
            stream.seek(u128::from(example) * WORDS_PER_EXAMPLE);
            fill(&mut stream, row);
        }
        Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
    }
}

/// Entries of a tensor of this shape.
fn count(shape: &[i64]) -> usize {
    usize::try_from(shape.iter().product::<i64>()).unwrap_or(0)
}

impl Noise for StreamNoise {
    fn uniform(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        if device != Device::Cpu {
            self.seed(name);
            return Ok(Tensor::f_rand(shape, (kind, device))?);
        }
        if kind == Kind::Double {
            return self.shared(name, shape, Stream::fill_uniform_f64);
        }
        Ok(self
            .shared(name, shape, Stream::fill_uniform)?
            .f_to_kind(kind)?)
    }

    fn normal(&mut self, name: &str, shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
        if device != Device::Cpu {
            self.seed(name);
            return Ok(Tensor::f_randn(shape, (kind, device))?);
        }
        Ok(self
            .shared(name, shape, Stream::fill_normal_f64)?
            .f_to_kind(kind)?)
    }

    fn uniform_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        if device != Device::Cpu {
            self.seed_examples(name);
            return Ok(Tensor::f_rand(shape, (kind, device))?);
        }
        if kind == Kind::Double {
            return self.by_example(name, shape, Stream::fill_uniform_f64);
        }
        Ok(self
            .by_example(name, shape, Stream::fill_uniform)?
            .f_to_kind(kind)?)
    }

    fn normal_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        if device != Device::Cpu {
            self.seed_examples(name);
            return Ok(Tensor::f_randn(shape, (kind, device))?);
        }
        Ok(self
            .by_example(name, shape, Stream::fill_normal_f64)?
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

    fn exponential_per_example(
        &mut self,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor> {
        self.next(name, shape, kind, device)
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

    /// All draws of a batch of `shape` whose first example is at `first`.
    fn per_example(first: u64, shape: &[i64], kind: Kind) -> [Tensor; 3] {
        let mut noise = StreamNoise::new(Streams::new(5)).starting_at(first);
        [
            noise.uniform_per_example("a", shape, kind, Device::Cpu),
            noise.normal_per_example("a", shape, kind, Device::Cpu),
            noise.exponential_per_example("a", shape, kind, Device::Cpu),
        ]
        .map(|drawn| drawn.unwrap())
    }

    #[test]
    fn parts_of_a_batch_draw_what_the_whole_batch_draws() {
        for (kind, one) in [(Kind::Float, vec![]), (Kind::Double, vec![3, 70])] {
            let shape = |batch: i64| [vec![batch], one.clone()].concat();
            let whole = per_example(0, &shape(6), kind);
            let parts = [
                per_example(0, &shape(1), kind),
                per_example(1, &shape(3), kind),
                per_example(4, &shape(2), kind),
            ];
            for (which, all) in whole.iter().enumerate() {
                let rows: Vec<_> = parts.iter().map(|p| p[which].shallow_clone()).collect();
                assert_eq!(&Tensor::cat(&rows, 0), all);
                assert_ne!(all.get(0), all.get(1));
            }
        }
    }

    #[test]
    fn shared_draws_do_not_depend_on_the_position() {
        let draw = |first| {
            StreamNoise::new(Streams::new(1))
                .starting_at(first)
                .uniform("a", &[4, 3], Kind::Float, Device::Cpu)
                .unwrap()
        };
        assert_eq!(draw(0), draw(32));
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
