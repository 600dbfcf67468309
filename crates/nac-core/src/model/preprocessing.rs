//! How files become the inputs of a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How an image of any size becomes one of the size that the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Resize {
    /// The shorter side fits, the centre of the longer is kept.
    #[default]
    Crop,
    /// Both sides fit, proportions change.
    Squash,
    /// The longer side fits, the rest is black.
    Pad,
}

/// The filter of a resize, as PIL means it: antialiased when it shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ResizeFilter {
    /// Triangle filter.
    #[default]
    Bilinear,
    /// Cubic filter with a = −0.5.
    Bicubic,
}

/// A column of a table as a feature: `(x − mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name in the table's first line.
    pub name: String,
    /// Mean of the training examples.
    pub mean: f32,
    /// Standard deviation of the training examples.
    pub std: f32,
}

/// How a file becomes one input. In a file, a table with `from = "image"`, `"bytes"`, `"words"`, `"symbols"`, `"points"`,
/// `"voxels"` or `"columns"`.
///
/// Sizes are those of the input's [`InputKind`](super::InputKind).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Preprocessing {
    /// An image file, decoded and resized.
    Image {
        /// How it gets its size.
        #[serde(default)]
        resize: Resize,
        /// The filter.
        #[serde(default)]
        filter: ResizeFilter,
    },
    /// A text as raw bytes: symbol `byte + 1`, 0 for padding. Longer texts lose their end.
    Bytes {},
    /// A text as lower-case words, its longest runs of letters, digits and apostrophes: 0 for padding, 1 for words that are not listed, then the words in order.
    Words {
        /// The words.
        words: Vec<String>,
    },
    /// White-space separated symbols: 0 for padding, then the symbols in order. Others are errors.
    Symbols {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// A file of points, or a mesh of which points are drawn by area; centred and scaled into the unit sphere.
    Points {},
    /// A file of voxels.
    Voxels {},
    /// Columns of a table, each a vector of one feature.
    Columns {
        /// The columns, in order.
        columns: Vec<Column>,
    },
}

impl Preprocessing {
    /// An image file, resized in the default way.
    #[must_use]
    pub fn image() -> Self {
        Self::Image {
            resize: Resize::default(),
            filter: ResizeFilter::default(),
        }
    }
}

/// How files become the inputs of a model, by the names of the inputs. Inputs without an entry have no file form.
pub type PreprocessingSpec = BTreeMap<String, Preprocessing>;
