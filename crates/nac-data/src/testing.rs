//! A data set in memory, for tests of code that takes a [`Dataset`].

use crate::random::Stream;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, Normalization,
    OutputSpec, Target, Values,
};

/// Examples held in a vector.
///
/// ```
/// use nac_data::{Dataset, Target, testing::InMemory};
/// let images = InMemory::images(10, 3, 8, 8, 2);
/// assert_eq!(images.get(3).unwrap().target, Target::Class(1));
/// ```
#[derive(Clone, Debug)]
pub struct InMemory {
    info: DatasetInfo,
    examples: Vec<Example>,
    known_classes: bool,
    fail_at: Option<usize>,
}

impl InMemory {
    /// Takes examples unchecked.
    #[must_use]
    pub fn new(info: DatasetInfo, examples: Vec<Example>) -> Self {
        Self {
            info,
            examples,
            known_classes: true,
            fail_at: None,
        }
    }

    /// `len` images of fixed noise of classes 0, 1, …, `classes − 1`, 0, …; each image is
    /// brighter the higher its class, so a model can learn the task.
    #[must_use]
    pub fn images(
        len: usize,
        channels: usize,
        height: usize,
        width: usize,
        classes: usize,
    ) -> Self {
        let classes = classes.max(1);
        let shape = vec![channels, height, width];
        let example = |index: usize| {
            let class = index % classes;
            let mut stream = Stream::new(0, "testing images", &[index as u64]);
            let low = (class * 192 / classes) as u64;
            let pixels = (0..channels * height * width).map(|_| (low + stream.below(64)) as u8);
            let image = Buffer::new(shape.clone(), Values::U8(pixels.collect()));
            let image = image.unwrap_or_else(|_| Buffer::tokens(Vec::new()));
            Example::new("image", image, Target::Class(class))
        };
        let kind = InputKind::Image {
            channels,
            height,
            width,
            normalization: Some(Normalization {
                mean: vec![0.5; channels],
                std: vec![0.25; channels],
            }),
        };
        let info = DatasetInfo {
            name: "in-memory images".into(),
            inputs: InputSpec::new("image", kind),
            output: OutputSpec::classes(classes),
            preprocessing: Default::default(),
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// `len` token sequences of lengths 1 to `max_len`; ids are 1 to `vocabulary − 1`, 0 pads.
    /// The class is the first token modulo `classes`.
    #[must_use]
    pub fn tokens(len: usize, vocabulary: usize, max_len: usize, classes: usize) -> Self {
        let (classes, max_len) = (classes.max(1), max_len.max(1));
        let example = |index: usize| {
            let mut stream = Stream::new(0, "testing tokens", &[index as u64]);
            let length = 1 + stream.below(max_len as u64);
            let id = |_| 1 + stream.below(vocabulary.saturating_sub(1).max(1) as u64) as i64;
            let ids: Vec<i64> = (0..length).map(id).collect();
            let target = Target::Class(ids[0] as usize % classes);
            Example::new("tokens", Buffer::tokens(ids), target)
        };
        let info = DatasetInfo {
            name: "in-memory tokens".into(),
            inputs: InputSpec::tokens(vocabulary, max_len, 0),
            output: OutputSpec::classes(classes),
            preprocessing: Default::default(),
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// `len` sets of `points` random points of a circle around 0, of radius `(c + 1) / classes` for class `c`;
    /// coordinates after the second are 0.
    #[must_use]
    pub fn points(len: usize, points: usize, dims: usize, classes: usize) -> Self {
        let classes = classes.max(1);
        let example = |index: usize| {
            let class = index % classes;
            let radius = (class + 1) as f64 / classes as f64;
            let mut stream = Stream::new(0, "testing points", &[index as u64]);
            let mut values = vec![0.0; points * dims];
            for point in values.chunks_exact_mut(dims.max(1)) {
                let (sin, cos) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
                for (coordinate, on_circle) in point.iter_mut().zip([cos, sin]) {
                    *coordinate = (radius * on_circle) as f32;
                }
            }
            let points = Buffer::new(vec![points, dims], Values::F32(values));
            let points = points.unwrap_or_else(|_| Buffer::tokens(Vec::new()));
            Example::new("points", points, Target::Class(class))
        };
        let info = DatasetInfo {
            name: "in-memory points".into(),
            inputs: InputSpec::new("points", InputKind::Points { points, dims }),
            output: OutputSpec::classes(classes),
            preprocessing: Default::default(),
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// `len` examples of `items` random vectors of `dim` features in `[0, 1)`; the two targets are the mean and
    /// the greatest of all features.
    #[must_use]
    pub fn regression(len: usize, items: usize, dim: usize) -> Self {
        let example = |index: usize| {
            let mut stream = Stream::new(0, "testing regression", &[index as u64]);
            let values: Vec<f32> = (0..items * dim).map(|_| stream.uniform() as f32).collect();
            let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
            let greatest = values.iter().copied().fold(0.0, f32::max);
            let features = Buffer::new(vec![items, dim], Values::F32(values));
            let features = features.unwrap_or_else(|_| Buffer::tokens(Vec::new()));
            Example::new("features", features, Target::Values(vec![mean, greatest]))
        };
        let info = DatasetInfo {
            name: "in-memory regression".into(),
            inputs: InputSpec::new(
                "features",
                InputKind::Features {
                    items,
                    dim,
                    padded: false,
                },
            ),
            output: OutputSpec::values(2),
            preprocessing: Default::default(),
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// Makes [`Dataset::class`] answer `None`.
    #[must_use]
    pub fn without_known_classes(mut self) -> Self {
        self.known_classes = false;
        self
    }

    /// Makes reading one example an error, as a broken file would.
    #[must_use]
    pub fn failing_at(mut self, index: usize) -> Self {
        self.fail_at = Some(index);
        self
    }

    /// A copy of the description.
    #[must_use]
    pub fn info_owned(&self) -> DatasetInfo {
        self.info.clone()
    }
}

impl Dataset for InMemory {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        if self.fail_at == Some(index) {
            return Err(DataError::CorruptFile {
                path: "in-memory".into(),
                offset: index as u64,
                reason: "made to fail".into(),
            });
        }
        Ok(self.examples[index].clone())
    }

    fn class(&self, index: usize) -> Option<usize> {
        if !self.known_classes {
            return None;
        }
        self.examples.get(index)?.target.class()
    }
}
