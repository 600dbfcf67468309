//! Random changes of training examples.
//!
//! Each transform draws from its own named stream for each example, so a change of one never
//! moves the draws of another, and the number of worker threads changes nothing.
//!
//! | text in `data.augment` | transform |
//! |---|---|
//! | `horizontal_flip` | [`HorizontalFlip`] |
//! | `random_crop:4` | [`RandomCrop`] with 4 pixels of padding |

mod horizontal_flip;
mod image;
mod random_crop;

use std::sync::Arc;

pub use horizontal_flip::HorizontalFlip;
pub use random_crop::RandomCrop;

use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example};

/// The names that [`from_specs`] knows, as they are written.
pub const NAMES: [&str; 2] = ["horizontal_flip", "random_crop:<pixels>"];

/// A change of one example.
pub trait Transform: Send + Sync {
    /// Name; also the name of the random stream.
    fn name(&self) -> &str;

    /// Checks that the examples of a data set have the form this transform needs.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the transform and the data set.
    fn check(&self, info: &DatasetInfo) -> Result<(), DataError>;

    /// Changes the example in place.
    ///
    /// # Errors
    /// [`DataError::Shape`] if the example does not have the form of [`check`](Self::check).
    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError>;
}

/// Source of the random numbers for one example in one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// Seed of the loader.
    pub seed: u64,
    /// Epoch.
    pub epoch: u64,
    /// Index of the example within its data set.
    pub index: usize,
}

impl Draws {
    /// The stream of a name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, name, &[self.epoch, self.index as u64])
    }
}

/// Several transforms one after another.
#[derive(Clone)]
pub struct Pipeline(Vec<Arc<dyn Transform>>);

impl Pipeline {
    /// Transforms in the order in which they are applied.
    #[must_use]
    pub fn new(steps: Vec<Arc<dyn Transform>>) -> Self {
        Self(steps)
    }
}

impl Transform for Pipeline {
    fn name(&self) -> &str {
        "pipeline"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        self.0.iter().try_for_each(|step| step.check(info))
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        self.0
            .iter()
            .try_for_each(|step| step.apply(example, draws))
    }
}

/// Builds the transforms of a list like `["random_crop:4", "horizontal_flip"]` and checks them
/// against the data set. An empty list gives `None`.
///
/// # Errors
/// [`DataError::UnknownName`] with the names that exist, or [`DataError::Config`] for a number
/// that is missing, wrong or not wanted, or a data set of another form.
pub fn from_specs(
    specs: &[String],
    info: &DatasetInfo,
) -> Result<Option<Arc<dyn Transform>>, DataError> {
    if specs.is_empty() {
        return Ok(None);
    }
    let steps = specs
        .iter()
        .map(|spec| from_spec(spec))
        .collect::<Result<Vec<_>, _>>()?;
    let pipeline = Pipeline::new(steps);
    pipeline.check(info)?;
    Ok(Some(Arc::new(pipeline)))
}

fn from_spec(spec: &str) -> Result<Arc<dyn Transform>, DataError> {
    let wrong = |reason: &str| DataError::Config {
        field: "data.augment".into(),
        reason: format!("`{spec}`: {reason}"),
    };
    let (name, argument) = match spec.split_once(':') {
        Some((name, argument)) => (name.trim(), Some(argument.trim())),
        None => (spec.trim(), None),
    };
    match (name, argument) {
        ("horizontal_flip", None) => Ok(Arc::new(HorizontalFlip)),
        ("horizontal_flip", Some(_)) => Err(wrong("takes no number")),
        ("random_crop", None) => Err(wrong("needs the padding in pixels, like `random_crop:4`")),
        ("random_crop", Some(text)) => {
            let padding = text
                .parse()
                .map_err(|_| wrong("the padding must be a whole number"))?;
            Ok(Arc::new(RandomCrop::new(padding)?))
        }
        _ => Err(DataError::UnknownName {
            kind: "transform",
            name: name.into(),
            known: NAMES.iter().map(ToString::to_string).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputKind;
    use crate::testing::InMemory;

    fn specs(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wrong_specs_say_what_is_known() {
        let info = InMemory::images(1, 3, 8, 8, 2).info_owned();
        let error = |list: &[&str]| match from_specs(&specs(list), &info) {
            Ok(_) => panic!("{list:?} was accepted"),
            Err(e) => e.to_string(),
        };
        let text = error(&["random_crops:4"]);
        assert!(
            text.contains("random_crops") && text.contains("horizontal_flip"),
            "{text}"
        );
        assert!(error(&["random_crop"]).contains("random_crop:4"));
        assert!(error(&["random_crop:x"]).contains("whole number"));
        assert!(error(&["horizontal_flip:2"]).contains("no number"));
        assert!(from_specs(&[], &info).unwrap().is_none());
        assert!(
            from_specs(&specs(&["random_crop:4", "horizontal_flip"]), &info)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_token_data_set_has_nothing_to_flip() {
        let info = DatasetInfo {
            name: "listops".into(),
            classes: 10,
            inputs: vec![(
                "tokens".into(),
                InputKind::Tokens {
                    vocabulary: 16,
                    max_len: 9,
                    pad: 0,
                },
            )],
        };
        let Err(error) = from_specs(&specs(&["horizontal_flip"]), &info) else {
            panic!("accepted");
        };
        assert!(error.to_string().contains("listops"), "{error}");
    }
}
