//! Random inputs, for tests and benchmarks.

use std::ops::Range;

use ndarray::{ArrayD, Axis};

use super::input::{InputView, Inputs};
use nac_core::Streams;
use nac_core::model::{InputKind, InputSpec};

/// A batch of random inputs of a model, for tests, examples and benchmarks.
///
/// ```
/// use nac_core::model::InputSpec;
/// use nac_engine::RandomInputs;
///
/// let spec = InputSpec::image(3, 8, 8);
/// let batch = RandomInputs::new(&spec, 4, 0);
/// batch.all().check(&spec)?;
/// assert_eq!(batch.examples(1..3).batch(), 2);
/// # Ok::<(), nac_engine::EngineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RandomInputs(Vec<(String, Drawn)>);

#[derive(Debug, Clone)]
enum Drawn {
    Floats(ArrayD<f32>),
    Symbols(ArrayD<i64>),
}

impl RandomInputs {
    /// Draws `batch` examples; `seed` fixes them. Images are floats as if they were normalized, features and points
    /// normally distributed; sequences are padded more the earlier they are in the batch.
    #[must_use]
    pub fn new(spec: &InputSpec, batch: usize, seed: u64) -> Self {
        let draw = |(name, kind): (&str, &InputKind)| {
            let mut stream = Streams::new(seed).stream(name);
            let mut normal = |shape: &[usize]| {
                let mut array = ArrayD::zeros(shape);
                if let Some(values) = array.as_slice_mut() {
                    stream.fill_normal(values);
                }
                array
            };
            let drawn = match kind {
                InputKind::Image {
                    channels,
                    height,
                    width,
                    ..
                } => Drawn::Floats(normal(&[batch, *channels, *height, *width])),
                InputKind::Features { items, dim, .. } => {
                    Drawn::Floats(normal(&[batch, *items, *dim]))
                }
                InputKind::Points { points, dims } => {
                    Drawn::Floats(normal(&[batch, *points, *dims]))
                }
                InputKind::Tokens {
                    vocabulary,
                    max_len,
                    pad,
                } => {
                    let noise: ArrayD<f32> = normal(&[batch, *max_len]);
                    let symbols: Vec<i64> = (0..*vocabulary as i64).filter(|s| s != pad).collect();
                    let symbol = |(at, x): (ndarray::IxDyn, &f32)| {
                        let index = (x.abs() * 1000.0) as usize % symbols.len().max(1);
                        let here = at[1] <= max_len / 2 + at[0];
                        symbols.get(index).copied().filter(|_| here).unwrap_or(*pad)
                    };
                    let drawn: Vec<i64> = noise.indexed_iter().map(symbol).collect();
                    let array = ArrayD::from_shape_vec(noise.raw_dim(), drawn);
                    Drawn::Symbols(array.unwrap_or_default())
                }
                _ => Drawn::Floats(ArrayD::zeros(vec![batch])),
            };
            (name.to_owned(), drawn)
        };
        Self(spec.iter().map(draw).collect())
    }

    /// All examples.
    #[must_use]
    pub fn all(&self) -> Inputs<'_> {
        self.views(|drawn| match drawn {
            Drawn::Floats(array) => array.view().into(),
            Drawn::Symbols(array) => array.view().into(),
        })
    }

    /// Some of the examples.
    ///
    /// # Panics
    /// The range goes beyond the batch.
    #[must_use]
    pub fn examples(&self, range: Range<usize>) -> Inputs<'_> {
        self.views(|drawn| match drawn {
            Drawn::Floats(array) => array.slice_axis(Axis(0), range.clone().into()).into(),
            Drawn::Symbols(array) => array.slice_axis(Axis(0), range.clone().into()).into(),
        })
    }

    fn views<'a>(&'a self, view: impl Fn(&'a Drawn) -> InputView<'a>) -> Inputs<'a> {
        self.0.iter().fold(Inputs::new(), |inputs, (name, drawn)| {
            inputs.with(name, view(drawn))
        })
    }
}
