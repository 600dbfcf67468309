//! Transforms from the texts of `data.augment`.

use std::sync::Arc;

use super::arguments::{NAMES, Spec};
use super::colour_jitter::ColourJitter;
use super::horizontal_flip::HorizontalFlip;
use super::mix::Mix;
use super::points::{Axis, Dropout, Jitter, Rotate, Scale};
use super::rand_augment::RandAugment;
use super::random_crop::RandomCrop;
use super::random_erasing::RandomErasing;
use super::random_resized_crop::RandomResizedCrop;
use super::repeat::Repeat;
use super::tokens::{TokenCrop, TokenDropout};
use super::{Pipeline, Transform, image};
use crate::{DataError, DatasetInfo, ResizeFilter};

/// Builds the transforms of a list like `["random_crop:4", "horizontal_flip"]` and checks them
/// against the data set. An empty list gives `None`.
///
/// They are applied in the order of the list; what mixes batches comes after all that changes examples.
///
/// # Errors
/// [`DataError::UnknownName`] with all that is known, or [`DataError::Config`] for an argument
/// that is missing, wrong or not wanted, or a data set of another form.
pub fn from_specs(
    specs: &[String],
    info: &DatasetInfo,
) -> Result<Option<Arc<dyn Transform>>, DataError> {
    if specs.is_empty() {
        return Ok(None);
    }
    let (mut mixup, mut cutmix) = (None, None);
    let mut steps: Vec<Arc<dyn Transform>> = Vec::with_capacity(specs.len());
    for text in specs {
        let spec = Spec::new(text);
        let alpha = match spec.name {
            "mixup" => &mut mixup,
            "cutmix" => &mut cutmix,
            _ => {
                steps.push(from_spec(&spec, info)?);
                continue;
            }
        };
        if alpha.replace(spec.number("a number")?).is_some() {
            return Err(spec.wrong("is there twice"));
        }
    }
    if mixup.is_some() || cutmix.is_some() {
        steps.push(Arc::new(Mix::new(mixup, cutmix, info)?));
    }
    let pipeline = Pipeline::new(steps);
    pipeline.check(info)?;
    Ok(Some(Arc::new(pipeline)))
}

fn from_spec(spec: &Spec<'_>, info: &DatasetInfo) -> Result<Arc<dyn Transform>, DataError> {
    Ok(match spec.name {
        "horizontal_flip" => {
            spec.nothing()?;
            Arc::new(HorizontalFlip)
        }
        "random_crop" => Arc::new(RandomCrop::new(spec.number("an integer")?)?),
        "random_resized_crop" => Arc::new(resized_crop(spec, info)?),
        "colour_jitter" => Arc::new(colour_jitter(spec)?),
        "rand_augment" => Arc::new(RandAugment::parse(spec.text()?)?),
        "random_erasing" => Arc::new(random_erasing(spec, info)?),
        "repeat" => Arc::new(Repeat::new(spec.number("an integer")?)?),
        "rotate" => Arc::new(Rotate(match spec.text()? {
            "x" => Axis::X,
            "y" => Axis::Y,
            "z" => Axis::Z,
            "any" => Axis::Any,
            other => return Err(spec.wrong(&format!("`{other}` is no axis"))),
        })),
        "jitter" => Arc::new(match spec.list()?.as_slice() {
            [sigma] => {
                let sigma: f64 = spec.parse(sigma, "a number")?;
                Jitter::new(sigma, 5.0 * sigma)?
            }
            [sigma, clip] => Jitter::new(
                spec.parse(sigma, "a number")?,
                spec.parse(clip, "a number")?,
            )?,
            _ => return Err(spec.wrong("takes one or two numbers")),
        }),
        "scale" => {
            let [least, most] = spec.range(spec.text()?)?;
            Arc::new(Scale::new(least, most)?)
        }
        "dropout" => {
            let [least, most] = spec.range(spec.text()?)?;
            Arc::new(Dropout::new(least, most)?)
        }
        "token_crop" => Arc::new(TokenCrop::new(spec.number("an integer")?)?),
        "token_dropout" | "byte_dropout" => Arc::new(TokenDropout::new(spec.number("a number")?)?),
        name => {
            return Err(DataError::UnknownName {
                kind: "transform",
                name: name.into(),
                known: NAMES.iter().map(ToString::to_string).collect(),
            });
        }
    })
}

fn resized_crop(spec: &Spec<'_>, info: &DatasetInfo) -> Result<RandomResizedCrop, DataError> {
    let parts = spec.list()?;
    let (filter, ranges) = match parts.as_slice() {
        [ranges @ .., "bicubic"] => (ResizeFilter::Bicubic, ranges),
        [ranges @ .., "bilinear"] => (ResizeFilter::Bilinear, ranges),
        ranges => (ResizeFilter::Bilinear, ranges),
    };
    let (scale, ratio) = match ranges {
        [scale] => (spec.range(scale)?, RandomResizedCrop::RATIO),
        [scale, ratio] => (spec.range(scale)?, spec.range(ratio)?),
        _ => return Err(spec.wrong("takes one or two ranges")),
    };
    image::check("random_resized_crop", info)?;
    let size = image::size(info).unwrap_or([1, 1]);
    RandomResizedCrop::new(size, scale, ratio, filter)
}

fn colour_jitter(spec: &Spec<'_>) -> Result<ColourJitter, DataError> {
    let parts = spec.list()?;
    let [brightness, contrast, saturation, hue] = parts.as_slice() else {
        return Err(spec.wrong("takes four numbers"));
    };
    let number = |text: &str| spec.parse::<f64>(text, "a number");
    let strengths = [number(brightness)?, number(contrast)?, number(saturation)?];
    ColourJitter::new(strengths, number(hue)?)
}

fn random_erasing(spec: &Spec<'_>, info: &DatasetInfo) -> Result<RandomErasing, DataError> {
    match spec.list()?.as_slice() {
        [probability] => RandomErasing::new(
            spec.parse(probability, "a number")?,
            RandomErasing::AREA,
            info,
        ),
        [probability, area] => RandomErasing::new(
            spec.parse(probability, "a number")?,
            spec.range(area)?,
            info,
        ),
        _ => Err(spec.wrong("takes a probability and a range of areas")),
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
        assert!(error(&["random_crop"]).contains("random_crop:<pixels>"));
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
    fn every_form_is_accepted_and_wrong_arguments_show_it() {
        let images = InMemory::images(1, 3, 8, 8, 2).info_owned();
        let good = [
            "horizontal_flip",
            "random_crop: 4",
            "random_resized_crop:0.08-1",
            "random_resized_crop:0.5-1,0.8-1.25,bicubic",
            "colour_jitter:0.4,0.4,0.4,0.1",
            "rand_augment:m9-mstd0.5-inc1",
            "random_erasing:0.25",
            "random_erasing:0.25,0.02-0.2",
            "mixup:0.8",
            "cutmix:1",
            "repeat:3",
        ];
        let all = from_specs(&specs(&good), &images).unwrap().unwrap();
        assert_eq!((all.repeats(), all.takes_originals()), (3, true));
        let wrong = [
            "random_resized_crop",
            "random_resized_crop:a-1",
            "random_resized_crop:1-0.5",
            "colour_jitter:0.4",
            "colour_jitter:0.4,0.4,0.4,",
            "rand_augment:9",
            "random_erasing:2",
            "mixup:x",
            "cutmix:-1",
            "repeat:0",
            "rotate:z",
        ];
        for text in wrong {
            let Err(error) = from_specs(&specs(&[text]), &images) else {
                panic!("{text} was accepted");
            };
            let name = text.split(':').next().unwrap();
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
        assert!(from_specs(&specs(&["mixup:1", "mixup:1"]), &images).is_err());
        let info = |inputs| DatasetInfo {
            name: "t".into(),
            inputs,
            output: OutputSpec::classes(2),
            preprocessing: Default::default(),
        };
        let points = info(InputSpec::new(
            "points",
            crate::InputKind::Points { points: 8, dims: 3 },
        ));
        let good = [
            "rotate:any",
            "jitter:0.01",
            "jitter:0.01,0.05",
            "scale:0.8-1.25",
            "dropout:0-0.875",
        ];
        assert!(from_specs(&specs(&good), &points).unwrap().is_some());
        for text in [
            "rotate:w",
            "jitter:1,2,3",
            "scale:1-",
            "dropout:0-1",
            "horizontal_flip",
        ] {
            assert!(from_specs(&specs(&[text]), &points).is_err(), "{text}");
        }
        let tokens = info(InputSpec::tokens(16, 9, 0));
        let good = ["token_crop:5", "token_dropout:0.1", "byte_dropout:0.1"];
        assert!(from_specs(&specs(&good), &tokens).unwrap().is_some());
        assert!(from_specs(&specs(&["token_crop:0"]), &tokens).is_err());
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
