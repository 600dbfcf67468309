//! The part after the colon in a text of `data.augment`.

use std::str::FromStr;

use crate::DataError;

/// What [`from_specs`](super::from_specs) knows, as it is written; parts in brackets can be left out.
pub const NAMES: [&str; 16] = [
    "horizontal_flip",
    "random_crop:<pixels>",
    "random_resized_crop:<area>-<area>[,<ratio>-<ratio>][,bicubic]",
    "colour_jitter:<brightness>,<contrast>,<saturation>,<hue>",
    "rand_augment:m<magnitude>[-mstd<deviation>][-inc1][-n<layers>][-p<probability>]",
    "random_erasing:<probability>[,<area>-<area>]",
    "mixup:<alpha>",
    "cutmix:<alpha>",
    "repeat:<times>",
    "rotate:<x, y, z or any>",
    "jitter:<sigma>[,<clip>]",
    "scale:<least>-<most>",
    "dropout:<least>-<most>",
    "token_crop:<length>",
    "token_dropout:<probability>",
    "byte_dropout:<probability>",
];

/// A text like `name:argument`.
pub(super) struct Spec<'a> {
    text: &'a str,
    /// Before the colon.
    pub(super) name: &'a str,
    argument: Option<&'a str>,
}

impl<'a> Spec<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (text.trim(), None),
        };
        Self {
            text,
            name,
            argument,
        }
    }

    /// An error about this text, with how the transform is written.
    pub(super) fn wrong(&self, reason: &str) -> DataError {
        let form = NAMES
            .iter()
            .find(|form| form.split(':').next() == Some(self.name));
        let form = form
            .map(|form| format!("; it is written `{form}`"))
            .unwrap_or_default();
        DataError::Config {
            field: "data.augment".into(),
            reason: format!("`{}`: {reason}{form}", self.text),
        }
    }

    /// There must be no argument.
    pub(super) fn nothing(&self) -> Result<(), DataError> {
        match self.argument {
            None => Ok(()),
            Some(_) => Err(self.wrong("takes no number")),
        }
    }

    /// The argument as it is.
    pub(super) fn text(&self) -> Result<&'a str, DataError> {
        self.argument
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.wrong("needs an argument"))
    }

    /// The argument as one number.
    pub(super) fn number<T: FromStr>(&self, kind: &str) -> Result<T, DataError> {
        self.parse(self.text()?, kind)
    }

    /// The parts between commas.
    pub(super) fn list(&self) -> Result<Vec<&'a str>, DataError> {
        Ok(self.text()?.split(',').map(str::trim).collect())
    }

    /// A number.
    pub(super) fn parse<T: FromStr>(&self, text: &str, kind: &str) -> Result<T, DataError> {
        text.parse()
            .map_err(|_| self.wrong(&format!("`{text}` is not {kind}")))
    }

    /// Numbers like `0.08-1`, least and greatest; a single number is both.
    pub(super) fn range(&self, text: &str) -> Result<[f64; 2], DataError> {
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        Ok([
            self.parse(least, "a number")?,
            self.parse(most, "a number")?,
        ])
    }
}
