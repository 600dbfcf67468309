//! Transforms from the texts of `data.augment`.

use std::sync::Arc;

use super::horizontal_flip::HorizontalFlip;
use super::random_crop::RandomCrop;
use super::{Pipeline, Transform};
use crate::{DataError, DatasetInfo};

/// The names that [`from_specs`] knows, as they are written.
pub const NAMES: [&str; 2] = ["horizontal_flip", "random_crop:<pixels>"];

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
                .map_err(|_| wrong("the padding must be an integer"))?;
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
    use crate::testing::InMemory;
    use crate::{InputSpec, OutputSpec};

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
        assert!(error(&["random_crop:x"]).contains("integer"));
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
            inputs: InputSpec::tokens(16, 9, 0),
            output: OutputSpec::classes(10),
            preprocessing: Default::default(),
        };
        let Err(error) = from_specs(&specs(&["horizontal_flip"]), &info) else {
            panic!("accepted");
        };
        assert!(error.to_string().contains("listops"), "{error}");
    }
}
