//! [`DataConfig`]: the `[data]` table of a run's TOML file.

use serde::{Deserialize, Serialize};

use std::path::PathBuf;

use crate::classes::ClassChoice;
use crate::corruption::CorruptionConfig;
use crate::{
    ListOpsConfig, ModelNetConfig, Nlvr2Config, NlvrConfig, Resize, ResizeFilter, Shapes3dConfig,
    SortOfClevrConfig,
};

/// Which data, and how they are changed for training.
///
/// ```toml
/// [data]
/// name = "cifar10"                                  # one of `nac data list`
/// augment = ["random_crop:4", "horizontal_flip"]    # training only; default none
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Data set, one of [`names`](crate::names()). Default `"digits"`.
    pub name: String,
    /// Random changes of training examples, in order, as `name` or `name:number`; see
    /// [`transform`](crate::transform). Default none.
    pub augment: Vec<String>,
    /// Folder or file of your own data, or of a published data set that is not where it is looked for. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The classes to use, by number or name; the first becomes class 0, and so on. Default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassChoice>,
    /// How the images of the test part are corrupted. Default not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corruption: Option<CorruptionConfig>,
    /// Leave out files that cannot be read, with a warning that counts and names them. Default false: the first one is
    /// an error.
    pub skip_unreadable: bool,
    /// Training examples of each class: so many are drawn by the run's seed, after validation is taken away. Default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// How image files become images; used by data sets that hold files.
    pub image: ImageSettings,
    /// How texts become symbols.
    pub text: TextSettings,
    /// How point clouds are made.
    pub points: PointSettings,
    /// What the columns of a table of numbers are.
    pub table: TableSettings,
    /// Settings of the ListOps generator; used if `name` is `"listops"`.
    pub listops: ListOpsConfig,
    /// Settings of `"cifar100"`.
    pub cifar100: Cifar100Config,
    /// Settings of `"cub"`.
    pub cub: CubConfig,
    /// Settings of `"modelnet10"` and `"modelnet40"`.
    pub modelnet: ModelNetConfig,
    /// Settings of `"nlvr"`.
    pub nlvr: NlvrConfig,
    /// Settings of `"nlvr2"`.
    pub nlvr2: Nlvr2Config,
    /// Settings of the generator of solids; used if `name` is `"shapes3d"`.
    pub shapes3d: Shapes3dConfig,
    /// Settings of the generator of images with questions; used if `name` is `"sort-of-clevr"`.
    pub sort_of_clevr: SortOfClevrConfig,
}

impl DataConfig {
    /// Dotted names of the settings that are places of files, in the order of [`paths_mut`](Self::paths_mut).
    pub const PATHS: [&str; 3] = ["path", "listops.folder", "nlvr2.features"];

    /// The settings that are places of files.
    pub fn paths_mut(&mut self) -> [&mut Option<PathBuf>; 3] {
        [
            &mut self.path,
            &mut self.listops.folder,
            &mut self.nlvr2.features,
        ]
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            name: "digits".into(),
            augment: Vec::new(),
            path: None,
            classes: Vec::new(),
            corruption: None,
            skip_unreadable: false,
            shots: None,
            image: ImageSettings::default(),
            text: TextSettings::default(),
            points: PointSettings::default(),
            table: TableSettings::default(),
            listops: ListOpsConfig::default(),
            cifar100: Cifar100Config::default(),
            cub: CubConfig::default(),
            modelnet: ModelNetConfig::default(),
            nlvr: NlvrConfig::default(),
            nlvr2: Nlvr2Config::default(),
            shapes3d: Shapes3dConfig::default(),
            sort_of_clevr: SortOfClevrConfig::default(),
        }
    }
}

/// Settings of data sets whose images are files of any size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageSettings {
    /// Height and width that images get. Default: those of the data set where all its images have one size, else
    /// `[64, 64]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// How they get it. Default `crop`.
    pub resize: Resize,
    /// With which filter. Default `bilinear`.
    pub filter: ResizeFilter,
    /// Resized images are kept in memory if those of a part need less than this, in megabytes. Default 1024.
    pub cache_mb: usize,
}

impl Default for ImageSettings {
    fn default() -> Self {
        Self {
            size: None,
            resize: Resize::default(),
            filter: ResizeFilter::default(),
            cache_mb: 1024,
        }
    }
}

/// Settings of CIFAR-100: which of the two labels is the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cifar100Config {
    /// The 20 coarse classes instead of the 100 fine ones. Default false.
    pub coarse: bool,
}

/// Settings of CUB-200-2011.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CubConfig {
    /// Cut images to the bird's bounding box. Default false.
    pub crop_to_box: bool,
}

/// What the symbols of a text are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextLevel {
    /// Raw bytes.
    #[default]
    Bytes,
    /// Lower-case words.
    Words,
}

/// Settings of data sets of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSettings {
    /// What the symbols are: `bytes`, or `words` learnt from the training texts. Default `bytes`.
    pub level: TextLevel,
    /// Longest text in symbols; the rest of longer ones is not read. Default 1024.
    pub max_len: usize,
    /// Most words that are learnt. Default 20,000.
    pub vocabulary: usize,
    /// A word is learnt if it occurs this often. Default 2.
    pub min_count: u64,
    /// Column of the text in tables. Default `text`.
    pub text_column: String,
    /// Column of the class in tables. Default `label`.
    pub label_column: String,
}

impl Default for TextSettings {
    fn default() -> Self {
        Self {
            level: TextLevel::Bytes,
            max_len: 1024,
            vocabulary: 20_000,
            min_count: 2,
            text_column: "text".into(),
            label_column: "label".into(),
        }
    }
}

/// Settings of data sets of points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PointSettings {
    /// Points of an example. Default 1024.
    pub count: usize,
}

impl Default for PointSettings {
    fn default() -> Self {
        Self { count: 1024 }
    }
}

/// Settings of tables of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableSettings {
    /// Column of the answer. Default `label`.
    pub label_column: String,
    /// Whether the answer is a number to be predicted, not one of several classes. Default false.
    pub regression: bool,
    /// Columns that the model reads, in order. Default none: all columns but the answer.
    pub columns: Vec<String>,
}

impl Default for TableSettings {
    fn default() -> Self {
        Self {
            label_column: "label".into(),
            regression: false,
            columns: Vec::new(),
        }
    }
}
