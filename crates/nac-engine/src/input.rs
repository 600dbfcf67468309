//! What a model reads, as plain arrays.

use std::ops::Range;

use ndarray::{ArrayView, ArrayView2, ArrayView3, ArrayView4, ArrayViewD, Dimension};

use super::error::{EngineError, Result};
use nac_core::model::{InputKind, InputSpec};

const OP: &str = "Engine::infer";

/// A batch of one input, in the type that it comes in.
#[derive(Debug, Clone)]
pub enum InputView<'a> {
    /// Bytes: pixels 0–255, which the model normalizes, or voxels.
    U8(ArrayViewD<'a, u8>),
    /// Real numbers: features, points, or pixels that are normalized already.
    F32(ArrayViewD<'a, f32>),
    /// Integers: symbols.
    I64(ArrayViewD<'a, i64>),
}

impl InputView<'_> {
    /// Sizes; the first is the batch.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::U8(view) => view.shape(),
            Self::F32(view) => view.shape(),
            Self::I64(view) => view.shape(),
        }
    }

    /// Type and shape in words: `u8 [4, 3, 32, 32]`.
    fn describe(&self) -> String {
        let dtype = match self {
            Self::U8(_) => "u8",
            Self::F32(_) => "f32",
            Self::I64(_) => "i64",
        };
        format!("{dtype} {:?}", self.shape())
    }
}

macro_rules! from_views {
    ($($element:ty => $variant:ident),+) => {$(
        impl<'a, D: Dimension> From<ArrayView<'a, $element, D>> for InputView<'a> {
            fn from(view: ArrayView<'a, $element, D>) -> Self {
                Self::$variant(view.into_dyn())
            }
        }
    )+};
}
from_views!(u8 => U8, f32 => F32, i64 => I64);

/// Named inputs of a batch.
///
/// ```
/// use nac_engine::Inputs;
/// use ndarray::{Array2, Array4};
///
/// let (pixels, symbols) = (Array4::<u8>::zeros((8, 3, 32, 32)), Array2::<i64>::zeros((8, 5)));
/// let one = Inputs::image(pixels.view());
/// let two = Inputs::image(pixels.view()).with("question", symbols.view());
/// assert_eq!((one.batch(), two.batch()), (8, 8));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Inputs<'a>(Vec<(&'a str, InputView<'a>)>);

impl<'a> Inputs<'a> {
    /// No inputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Input `image`, `[batch, channels, height, width]`: bytes, or floats that are normalized already.
    #[must_use]
    pub fn image(view: impl Into<InputView<'a>>) -> Self {
        Self::new().with("image", view)
    }

    /// Input `tokens`, `[batch, length]`; the padding symbol at the end of shorter sequences.
    #[must_use]
    pub fn tokens(view: ArrayView2<'a, i64>) -> Self {
        Self::new().with("tokens", view)
    }

    /// Adds or replaces an input.
    #[must_use]
    pub fn with(mut self, name: &'a str, view: impl Into<InputView<'a>>) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, view.into()));
        self
    }

    /// Number of examples; 0 without inputs.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.0
            .first()
            .and_then(|(_, view)| view.shape().first().copied())
            .unwrap_or(0)
    }

    /// The input of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&InputView<'a>> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, view)| view)
    }

    /// Names and views, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &InputView<'a>)> {
        self.0.iter().map(|(name, view)| (*name, view))
    }

    /// Checks that these are the inputs of `spec`, in the types and shapes that it says.
    ///
    /// # Errors
    /// [`EngineError::Input`] naming the input, what is expected and what was found.
    pub fn check(&self, spec: &InputSpec) -> Result<()> {
        let refuse = |expected: String, found: String| {
            Err(EngineError::Input {
                op: OP,
                expected,
                found,
            })
        };
        for (name, kind) in spec.iter() {
            let expected = || format!("input `{name}`: {}", kind.describe());
            let Some(view) = self.get(name) else {
                let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
                return refuse(expected(), format!("inputs {names:?}"));
            };
            let dtype = matches!(
                (kind, view),
                (
                    InputKind::Image { .. } | InputKind::Voxels { .. },
                    InputView::U8(_) | InputView::F32(_)
                ) | (InputKind::Tokens { .. }, InputView::I64(_))
                    | (
                        InputKind::Features { .. } | InputKind::Points { .. },
                        InputView::F32(_)
                    )
            );
            if !dtype || !kind.fits(view.shape()) {
                return refuse(expected(), view.describe());
            }
            if view.shape().first() != Some(&self.batch()) {
                let found = format!("input `{name}`: {}", view.describe());
                return refuse(format!("{} examples of every input", self.batch()), found);
            }
        }
        match self.0.iter().find(|(name, _)| spec.get(name).is_none()) {
            Some((name, view)) => {
                let names: Vec<&str> = spec.names().collect();
                let found = format!("an input `{name}` too, {}", view.describe());
                refuse(format!("inputs {names:?}"), found)
            }
            None => Ok(()),
        }
    }

    /// The input of a name as a tokenizer computes with it. Bytes of the given examples become floats in `pixels`, those of
    /// images normalized.
    /// Gives the examples' range within the result.
    pub(crate) fn ready<'b>(
        &'b self,
        name: &str,
        kind: &InputKind,
        examples: Range<usize>,
        pixels: &'b mut Vec<f32>,
    ) -> Result<(Ready<'b>, Range<usize>)> {
        let refused = || EngineError::Input {
            op: OP,
            expected: format!("input `{name}`: {}", kind.describe()),
            found: self
                .get(name)
                .map_or_else(|| "nothing".into(), InputView::describe),
        };
        let ready = match self.get(name) {
            Some(InputView::U8(view)) => {
                let normalization = match kind {
                    InputKind::Image { normalization, .. } => normalization.as_ref(),
                    InputKind::Voxels { .. } => None,
                    _ => return Err(refused()),
                };
                let is_image = matches!(kind, InputKind::Image { .. });
                let bytes = view.view().into_dimensionality().map_err(|_| refused())?;
                let bytes: ArrayView4<'_, u8> = bytes;
                let bytes = bytes.slice_move(ndarray::s![examples, .., .., ..]);
                pixels.clear();
                pixels.reserve(bytes.len());
                for image in bytes.outer_iter() {
                    for (channel, plane) in image.outer_iter().enumerate() {
                        let plane = plane.iter();
                        match normalization {
                            Some(by) => pixels.extend(plane.map(|&x| by.apply(channel, x))),
                            None if is_image => {
                                pixels.extend(plane.map(|&x| f32::from(x) / 255.0));
                            }
                            None => pixels.extend(plane.map(|&x| f32::from(x))),
                        }
                    }
                }
                let count = bytes.dim().0;
                let array = ArrayView4::from_shape(bytes.dim(), &pixels[..]);
                let array = array.map_err(|_| refused())?;
                let ready = if is_image {
                    Ready::Image(array)
                } else {
                    Ready::Voxels(array)
                };
                return Ok((ready, 0..count));
            }
            Some(InputView::F32(view)) => {
                let view = view.view();
                match kind {
                    InputKind::Image { .. } => view.into_dimensionality().map(Ready::Image),
                    InputKind::Voxels { .. } => view.into_dimensionality().map(Ready::Voxels),
                    _ => view.into_dimensionality().map(Ready::Vectors),
                }
            }
            Some(InputView::I64(view)) => view.view().into_dimensionality().map(Ready::Symbols),
            None => return Err(refused()),
        };
        Ok((ready.map_err(|_| refused())?, examples))
    }
}

/// An input as a tokenizer computes with it.
pub(crate) enum Ready<'a> {
    /// Normalized pixels, `[batch, channels, height, width]`.
    Image(ArrayView4<'a, f32>),
    /// Voxels, `[batch, x, y, z]`.
    Voxels(ArrayView4<'a, f32>),
    /// Symbols, `[batch, length]`.
    Symbols(ArrayView2<'a, i64>),
    /// Features or points, `[batch, items, dim]`.
    Vectors(ArrayView3<'a, f32>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::model::Normalization;
    use ndarray::{Array2, Array3, Array4};

    fn spec() -> InputSpec {
        let kind = InputKind::Image {
            channels: 2,
            height: 3,
            width: 4,
            normalization: Some(Normalization {
                mean: vec![0.5, 0.25],
                std: vec![0.5, 0.1],
            }),
        };
        InputSpec::new("photo", kind).with(
            "question",
            InputKind::Tokens {
                vocabulary: 9,
                max_len: 5,
                pad: 0,
            },
        )
    }

    #[test]
    fn other_inputs_are_named_with_what_is_expected() {
        let photo = Array4::<u8>::zeros((2, 2, 3, 4));
        let question = Array2::<i64>::zeros((2, 5));
        let inputs = || Inputs::new().with("photo", photo.view());
        let good = inputs().with("question", question.view());
        good.check(&spec()).unwrap();
        let (other, long) = (
            Array4::<u8>::zeros((2, 2, 4, 4)),
            Array2::<i64>::zeros((2, 6)),
        );
        let (more, floats) = (
            Array2::<i64>::zeros((3, 5)),
            Array3::<f32>::zeros((2, 5, 1)),
        );
        for (inputs, expected, found) in [
            (
                inputs(),
                "input `question`: integers [batch, 1..=5]",
                "[\"photo\"]",
            ),
            (
                good.clone().with("photo", other.view()),
                "input `photo`: u8 or float [batch, 2, 3, 4]",
                "u8 [2, 2, 4, 4]",
            ),
            (
                good.clone().with("question", long.view()),
                "1..=5",
                "i64 [2, 6]",
            ),
            (
                good.clone().with("question", floats.view()),
                "integers",
                "f32 [2, 5, 1]",
            ),
            (
                good.clone().with("question", more.view()),
                "2 examples",
                "i64 [3, 5]",
            ),
            (
                good.clone().with("extra", floats.view()),
                "\"question\"",
                "`extra`",
            ),
        ] {
            let error = inputs.check(&spec()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(found), "{error}");
        }
    }

    #[test]
    fn bytes_are_normalized_and_floats_are_not() {
        let bytes = Array4::from_shape_fn((3, 2, 3, 4), |(n, c, y, x)| {
            (n * 80 + c * 40 + y * 4 + x) as u8
        });
        let inputs = Inputs::new().with("photo", bytes.view());
        let spec = spec();
        let kind = spec.get("photo").unwrap();
        let mut pixels = Vec::new();
        let (ready, range) = inputs.ready("photo", kind, 1..3, &mut pixels).unwrap();
        let Ready::Image(image) = ready else { panic!() };
        assert_eq!((image.dim(), range), ((2, 2, 3, 4), 0..2));
        let expected = (f32::from(bytes[[2, 1, 0, 3]]) / 255.0 - 0.25) / 0.1;
        assert_eq!(image[[1, 1, 0, 3]], expected);
        let floats = bytes.mapv(f32::from);
        let inputs = Inputs::new().with("photo", floats.view());
        let (ready, range) = inputs.ready("photo", kind, 1..3, &mut pixels).unwrap();
        let Ready::Image(image) = ready else { panic!() };
        assert_eq!((image, range), (floats.view(), 1..3));
    }
}
