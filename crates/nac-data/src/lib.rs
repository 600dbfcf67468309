//! Data for Neural Attentive Circuits, as plain buffers.
//!
//! This crate turns names and folders into batches of numbers. It does not depend on a
//! tensor library, so anything that can read a `Vec<u8>` can use it.
//!
//! The modules follow the path of an example through the crate:
//!
//! 1. [`fetch`]: find a data set on disk, or download, check and unpack it;
//! 2. [`source`]: read (or generate) it, a file or folder for each data set;
//! 3. [`split`]: carve a held-out part from the training examples;
//! 4. [`transform`]: random changes with one named random stream per example;
//! 5. [`loader`]: order, read ahead with worker threads, and put into batches.
//!
//! [`preprocess`] makes inputs of single files, for a model that is trained; [`image_file`] decodes and resizes images;
//! [`corruption`] makes a test under a shift of distribution. [`output`] is how programs print.
//!
//! [`open`] does 1 and 2 from a [`DataConfig`]; the [`Dataset`] trait is the extension point
//! for your own data. Every random choice is a function of a seed and a name:
//! batches do not depend on the number of threads.
//!
//! # Example
//!
//! ```
//! use nac_data::{DataConfig, DataDirs, Loader, LoaderOptions, Values, open};
//!
//! # fn main() -> Result<(), nac_data::DataError> {
//! // The UCI digits are part of this crate: nothing is read or downloaded.
//! let config = DataConfig { name: "digits".into(), ..DataConfig::default() };
//! let dirs = DataDirs::new(None, None, std::env::temp_dir());
//! let splits = open(&config, &dirs, 0)?;
//! assert_eq!((splits.train.len(), splits.test.len()), (1437, 360));
//!
//! let options = LoaderOptions { batch_size: 32, workers: 2, ..LoaderOptions::default() };
//! let loader = Loader::new(splits.train, options)?;
//! let first = loader.epoch(0, 0).next().expect("44 batches")?;
//! let (name, image) = &first.inputs[0];
//! assert_eq!(name, "image");
//! assert_eq!(image.shape(), &[32, 1, 8, 8]);
//! assert!(matches!(image.values(), Values::U8(_)));
//! assert_eq!(first.targets.classes()?.len(), 32);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod buffer;
mod check;
mod classes;
mod config;
mod dataset;
mod dirs;
mod episode;
mod error;
mod example;
mod file_list;
mod fingerprint;
mod progress;
mod published;
mod registry;
mod resample;
mod resized;
mod storage;
mod table;
mod words;

pub mod corruption;
pub mod fetch;
pub mod image_file;
pub mod loader;
pub mod output;
pub mod preprocess;
pub mod random;
pub mod sample;
pub mod source;
pub mod split;
pub mod testing;
pub mod transform;

pub use buffer::{Buffer, Values, ValuesMut};
pub use check::{CheckReport, PartReport, check};
pub use classes::{ClassChoice, ClassSubset, select as select_classes};
pub use config::{
    Cifar100Config, CubConfig, DataConfig, ImageSettings, PointSettings, TableSettings, TextLevel,
    TextSettings,
};
pub use dataset::{Dataset, DatasetInfo, SharedDataset};
pub use dirs::{CACHE_DIR_VARIABLE, DATA_DIR_VARIABLE, DataDirs};
pub use episode::Episode;
pub use error::DataError;
pub use example::{Batch, Example, Target, Targets};
pub use fingerprint::Fingerprint;
pub use loader::{EpochIter, Loader, LoaderOptions, Share};
pub use nac_core::model::{
    Column, InputKind, InputSpec, Normalization, OutputSpec, Preprocessing, PreprocessingSpec,
    Resize, ResizeFilter,
};
pub use progress::{Progress, Silent};
pub use published::PublishedPart;
pub use registry::{describe, entries, entry, get, list, names, open, open_with_progress};
pub use resized::resize_images;
pub use source::listops::ListOpsConfig;
pub use source::modelnet::{ModelNetConfig, ModelNetForm};
pub use source::nlvr::{NlvrConfig, NlvrInput, NlvrPart};
pub use source::nlvr2::{Nlvr2Config, Nlvr2Part};
pub use source::shapes3d::Shapes3dConfig;
pub use source::sort_of_clevr::{QuestionForm, SortOfClevrConfig};
pub use split::Splits;
pub use transform::Transform;
