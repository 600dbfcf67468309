//! What a model reads: named inputs, each of a kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::ConfigError;

/// Mean and standard deviation of each channel of the training pixels divided by 255.
///
/// They travel with the model, which maps a byte `x` to `(x / 255 − mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean of each channel.
    #[serde(serialize_with = "decimals")]
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    #[serde(serialize_with = "decimals")]
    pub std: Vec<f32>,
}

impl Normalization {
    /// The value that a model computes with for the byte `x` of a channel; only the division by 255 for
    /// channels that have no mean and deviation.
    #[must_use]
    pub fn apply(&self, channel: usize, x: u8) -> f32 {
        let unit = f32::from(x) / 255.0;
        match (self.mean.get(channel), self.std.get(channel)) {
            (Some(mean), Some(std)) => (unit - mean) / std,
            _ => unit,
        }
    }
}

/// Single precision numbers as they were written: `0.4914`, not the digits of the nearest double.
fn decimals<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let double = |value: &f32| {
        let short = value.to_string().parse().unwrap_or(f64::from(*value));
        if short as f32 == *value {
            short
        } else {
            f64::from(*value)
        }
    };
    serializer.collect_seq(values.iter().map(double))
}

/// Form of one input. In a file, a table with `kind = "image"`, `"tokens"`, `"features"`,
/// `"points"` or `"voxels"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum InputKind {
    /// An image: bytes `[batch, channels, height, width]`, or floats that are normalized already.
    Image {
        /// Channels.
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// What the model does to bytes after the division by 255. Default nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        normalization: Option<Normalization>,
    },
    /// A sequence of symbols: integers `[batch, length]`, padded at the end.
    Tokens {
        /// Number of symbols, padding included.
        vocabulary: usize,
        /// Longest sequence.
        max_len: usize,
        /// Symbol that means padding; never inside an example.
        pad: i64,
    },
    /// Feature vectors: floats `[batch, items, dim]`.
    Features {
        /// Vectors of an example, the greatest number if it varies.
        items: usize,
        /// Features of a vector.
        dim: usize,
        /// Whether their number varies: a batch is `[batch, 1..=items, dim]`, and vectors of NaN at the end of an
        /// example are padding. Default false.
        #[serde(default, skip_serializing_if = "is_false")]
        padded: bool,
    },
    /// A set of points: floats `[batch, points, dims]`, coordinates best within −1 and 1.
    Points {
        /// Points of an example.
        points: usize,
        /// Coordinates of a point.
        dims: usize,
    },
    /// Occupancy of a grid: bytes 0 or 1, or floats, `[batch, x, y, z]`.
    Voxels {
        /// Cells along each axis.
        size: [usize; 3],
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl InputKind {
    /// An image that is not normalized.
    #[must_use]
    pub fn image(channels: usize, height: usize, width: usize) -> Self {
        Self::Image {
            channels,
            height,
            width,
            normalization: None,
        }
    }

    /// The name of the kind, as in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Image { .. } => "image",
            Self::Tokens { .. } => "tokens",
            Self::Features { .. } => "features",
            Self::Points { .. } => "points",
            Self::Voxels { .. } => "voxels",
        }
    }

    /// Type and shape of a batch in words, for messages: `u8 or float [batch, 3, 32, 32]`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Image {
                channels,
                height,
                width,
                ..
            } => format!("u8 or float [batch, {channels}, {height}, {width}]"),
            Self::Tokens { max_len, .. } => format!("integers [batch, 1..={max_len}]"),
            Self::Features { items, dim, padded } => {
                let least = if *padded { "1..=" } else { "" };
                format!("float [batch, {least}{items}, {dim}]")
            }
            Self::Voxels { size: [x, y, z] } => format!("u8 or float [batch, {x}, {y}, {z}]"),
            Self::Points { points, dims } => format!("float [batch, {points}, {dims}]"),
        }
    }

    /// Whether `shape` is that of a batch of this kind.
    #[must_use]
    pub fn fits(&self, shape: &[usize]) -> bool {
        match (self, shape) {
            (
                Self::Image {
                    channels,
                    height,
                    width,
                    ..
                },
                &[_, c, h, w],
            ) => [c, h, w] == [*channels, *height, *width],
            (Self::Tokens { max_len, .. }, &[_, length]) => (1..=*max_len).contains(&length),
            (Self::Features { items, dim, padded }, &[_, n, d]) => {
                d == *dim && (n == *items || (*padded && (1..=*items).contains(&n)))
            }
            (Self::Voxels { size }, &[_, x, y, z]) => [x, y, z] == *size,
            (Self::Points { points, dims }, &[_, n, d]) => [n, d] == [*points, *dims],
            _ => false,
        }
    }

    fn check(&self, name: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, value: String, reason: &str| {
            Err(ConfigError::Setting {
                name: format!("inputs.{name}.{key}"),
                value,
                reason: reason.into(),
            })
        };
        let sizes: Vec<(&str, usize)> = match self {
            Self::Image {
                channels,
                height,
                width,
                ..
            } => vec![
                ("channels", *channels),
                ("height", *height),
                ("width", *width),
            ],
            Self::Tokens {
                vocabulary,
                max_len,
                ..
            } => vec![("vocabulary", *vocabulary), ("max_len", *max_len)],
            Self::Features { items, dim, .. } => vec![("items", *items), ("dim", *dim)],
            Self::Voxels { size } => size.iter().map(|&cells| ("size", cells)).collect(),
            Self::Points { points, dims } => vec![("points", *points), ("dims", *dims)],
        };
        if let Some((key, size)) = sizes.iter().find(|(_, size)| *size == 0) {
            return wrong(key, size.to_string(), "must be at least 1");
        }
        if let Self::Image {
            channels,
            normalization: Some(Normalization { mean, std }),
            ..
        } = self
        {
            let positive = std.iter().all(|s| *s > 0.0);
            if mean.len() != *channels || std.len() != *channels || !positive {
                let value = format!("mean {mean:?}, std {std:?}");
                let reason = format!("must have {channels} means and positive deviations");
                return wrong("normalization", value, &reason);
            }
        }
        Ok(())
    }
}

/// What a model reads: kinds by the name of the input.
///
/// In a file, one table for each input. Order does not matter; inputs are taken in the order of their names.
///
/// ```
/// use nac_core::model::{InputKind, InputSpec};
///
/// let one = InputSpec::image(3, 32, 32);
/// let two = InputSpec::tokens(1000, 16, 0).with("photo", InputKind::image(3, 32, 32));
/// assert_eq!(two.names().collect::<Vec<_>>(), ["photo", "tokens"]);
/// # assert_eq!(one.names().collect::<Vec<_>>(), ["image"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputSpec(BTreeMap<String, InputKind>);

impl InputSpec {
    /// One input of a name.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: InputKind) -> Self {
        Self::default().with(name, kind)
    }

    /// Input `image`, not normalized.
    #[must_use]
    pub fn image(channels: usize, height: usize, width: usize) -> Self {
        Self::new("image", InputKind::image(channels, height, width))
    }

    /// Input `tokens`: sequences of at most `max_len` of `vocabulary` symbols, of which `pad` is padding.
    #[must_use]
    pub fn tokens(vocabulary: usize, max_len: usize, pad: i64) -> Self {
        let kind = InputKind::Tokens {
            vocabulary,
            max_len,
            pad,
        };
        Self::new("tokens", kind)
    }

    /// Adds or replaces an input.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, kind: InputKind) -> Self {
        self.0.insert(name.into(), kind);
        self
    }

    /// The kind of an input.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&InputKind> {
        self.0.get(name)
    }

    /// The kind of an input, for change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut InputKind> {
        self.0.get_mut(name)
    }

    /// Names and kinds, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &InputKind)> {
        self.0.iter().map(|(name, kind)| (name.as_str(), kind))
    }

    /// Names of the inputs, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Number of inputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no input.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Channels, height and width, if the only input is an image.
    #[must_use]
    pub fn single_image(&self) -> Option<[usize; 3]> {
        match self.0.values().next() {
            Some(&InputKind::Image {
                channels,
                height,
                width,
                ..
            }) if self.len() == 1 => Some([channels, height, width]),
            _ => None,
        }
    }

    /// Checks names and sizes.
    ///
    /// # Errors
    /// [`ConfigError::Setting`]: there is no input, a name is empty or has a dot, a size is 0, or an image does not
    /// have one mean and one positive deviation for each channel.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |value: &str, reason: &str| {
            Err(ConfigError::Setting {
                name: "inputs".into(),
                value: format!("{value:?}"),
                reason: reason.into(),
            })
        };
        if self.is_empty() {
            return wrong("", "a model must read something");
        }
        for (name, kind) in self.iter() {
            if name.is_empty() || name.contains('.') {
                return wrong(name, "names of inputs are not empty and have no dot");
            }
            kind.check(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_normalized_in_single_precision() {
        let normalization = Normalization {
            mean: vec![0.4914, 0.5],
            std: vec![0.247, 0.1],
        };
        assert_eq!(
            normalization.apply(0, 77),
            (77.0_f32 / 255.0 - 0.4914) / 0.247
        );
        assert_eq!(normalization.apply(1, 255), (255.0_f32 / 255.0 - 0.5) / 0.1);
        assert_eq!(normalization.apply(2, 255), 1.0);
    }

    #[test]
    fn toml_keeps_the_digits_of_means() {
        let kind = InputKind::Image {
            channels: 2,
            height: 3,
            width: 4,
            normalization: Some(Normalization {
                mean: vec![0.4914, 1.0 / 3.0],
                std: vec![0.247, 1e-7],
            }),
        };
        let spec = InputSpec::new("image", kind);
        let text = toml::to_string(&spec).unwrap();
        assert!(text.contains("mean = [0.4914, 0.33333334]"), "{text}");
        assert_eq!(toml::from_str::<InputSpec>(&text).unwrap(), spec);
    }

    #[test]
    fn inputs_that_make_no_sense_are_named() {
        let wrong = |spec: InputSpec| spec.check().unwrap_err().to_string();
        assert!(wrong(InputSpec::default()).contains("must read something"));
        assert!(wrong(InputSpec::image(3, 0, 2)).contains("inputs.image.height"));
        assert!(wrong(InputSpec::new("a.b", InputKind::image(1, 1, 1))).contains("\"a.b\""));
        for (mean, std) in [
            (vec![0.5; 2], vec![0.5; 3]),
            (vec![0.5; 3], vec![0.5; 2]),
            (vec![0.5; 3], vec![0.5, 0.0, 0.5]),
            (vec![0.5; 3], vec![0.5, f32::NAN, 0.5]),
        ] {
            let kind = InputKind::Image {
                channels: 3,
                height: 1,
                width: 1,
                normalization: Some(Normalization { mean, std }),
            };
            let error = wrong(InputSpec::new("photo", kind));
            assert!(error.contains("inputs.photo.normalization"), "{error}");
        }
        assert!(InputSpec::tokens(3, 2, 0).check().is_ok());
    }
}
