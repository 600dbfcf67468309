//! Random draws of forward passes: from seeded streams, or replayed.

use std::collections::VecDeque;

use nac_core::rng::Streams;
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
    /// Noise drawn from `streams`; give each training step its own child.
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
