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

/// Whether an item of an example that may have up to `most` is there and not padding.
fn here(example: usize, item: usize, most: usize) -> bool {
    item <= most / 2 + example
}

impl RandomInputs {
    /// Draws `batch` examples; `seed` fixes them. Images are floats as if they were normalized, features and points
    /// normally distributed, about a third of voxels 1; what may be padded is padded more the earlier it is in the batch.
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
                InputKind::Features { items, dim, padded } => {
                    let mut vectors = normal(&[batch, *items, *dim]);
                    for (at, x) in vectors.indexed_iter_mut().filter(|_| *padded) {
                        if !here(at[0], at[1], *items) {
                            *x = f32::NAN;
                        }
                    }
                    Drawn::Floats(vectors)
                }
                InputKind::Voxels { size: [x, y, z] } => {
                    let noise = normal(&[batch, *x, *y, *z]);
                    Drawn::Floats(noise.mapv(|x| f32::from(u8::from(x > 0.5))))
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
                        let symbol = symbols.get(index).copied();
                        let symbol = symbol.filter(|_| here(at[0], at[1], *max_len));
                        symbol.unwrap_or(*pad)
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
