//! Initial values of parameters.

use nac_core::rng::Stream;

use crate::error::{ModuleError, Result};

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// All equal to the value.
    Constant(f64),
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Normal with mean 0, redrawn outside two standard deviations.
    TruncatedNormal {
        /// Standard deviation before truncation.
        std: f64,
    },
    /// Uniform on `[-bound, bound)`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
    /// Kaiming uniform with `a = sqrt(5)`, as PyTorch starts linear and convolution weights:
    /// uniform with bound `gain / sqrt(fan_in)`. The first dimension is the output.
    KaimingUniform {
        /// Extra factor on the bound; 1 for PyTorch's own start.
        gain: f64,
    },
}

impl Init {
    /// Draws `shape` values in row-major order.
    pub(super) fn values(self, shape: &[i64], stream: &mut Stream) -> Result<Vec<f32>> {
        let count =
            usize::try_from(shape.iter().product::<i64>()).map_err(|_| ModuleError::Shape {
                op: "Init",
                name: "shape".into(),
                expected: "sizes of at least 0".into(),
                found: shape.to_vec(),
            })?;
        let mut values = vec![0.0_f32; count];
        match self {
            Self::Zeros => {}
            Self::Ones => values.fill(1.0),
            Self::Constant(value) => values.fill(value as f32),
            Self::Normal { std } => {
                stream.fill_normal(&mut values);
                values.iter_mut().for_each(|v| *v *= std as f32);
            }
            Self::TruncatedNormal { std } => {
                for value in &mut values {
                    *value = loop {
                        let mut draw = [0.0_f32];
                        stream.fill_normal(&mut draw);
                        if draw[0].abs() <= 2.0 {
                            break draw[0] * std as f32;
                        }
                    };
                }
            }
            Self::Uniform { bound } => fill_symmetric(&mut values, bound, stream),
            Self::KaimingUniform { gain } => {
                let fan_in: i64 = shape.iter().skip(1).product();
                if shape.len() < 2 || fan_in == 0 {
                    return Err(ModuleError::Shape {
                        op: "Init::KaimingUniform",
                        name: "shape".into(),
                        expected: "[out, in, ...]".into(),
                        found: shape.to_vec(),
                    });
                }
                fill_symmetric(&mut values, gain / (fan_in as f64).sqrt(), stream);
            }
        }
        Ok(values)
    }
}

fn fill_symmetric(values: &mut [f32], bound: f64, stream: &mut Stream) {
    stream.fill_uniform(values);
    values
        .iter_mut()
        .for_each(|v| *v = (2.0 * *v - 1.0) * bound as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::rng::Streams;

    fn draw(init: Init, shape: &[i64]) -> Vec<f32> {
        init.values(shape, &mut Streams::new(3).stream("w"))
            .unwrap()
    }

    #[test]
    fn kaiming_uniform_fills_its_interval() {
        let values = draw(Init::KaimingUniform { gain: 1.0 }, &[100, 25]);
        let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(
            largest <= 0.2 && largest > 0.19,
            "bound is 1/sqrt(25), largest {largest}"
        );
        assert!(
            Init::KaimingUniform { gain: 1.0 }
                .values(&[3], &mut Streams::new(0).stream("w"))
                .is_err()
        );
    }

    #[test]
    fn truncated_normal_stays_inside_two_deviations() {
        let values = draw(Init::TruncatedNormal { std: 0.02 }, &[2000]);
        assert!(values.iter().all(|v| v.abs() <= 0.04));
        assert!(values.iter().any(|v| v.abs() > 0.03));
    }
}
