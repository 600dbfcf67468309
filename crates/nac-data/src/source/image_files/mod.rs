//! What data sets of image files share: reading them when they are asked for, and listing folders.

mod dataset;
mod file;
mod listing;
mod unreadable;

pub(super) use dataset::ImageFiles;
pub(super) use file::ImageFile;
pub(super) use listing::{classes_of, folders, images_in};

use crate::{
    DatasetInfo, ImageSettings, InputKind, InputSpec, Normalization, OutputSpec, Preprocessing,
};

/// Height and width where neither the settings nor the data set say one.
const SIZE: [usize; 2] = [64, 64];

/// Channel means and deviations of ImageNet's training images, as torchvision and timm have them.
pub(super) fn imagenet_normalization() -> Normalization {
    Normalization {
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
    }
}

/// Description of a set of RGB image files with these classes.
pub(super) fn info(
    name: &str,
    classes: impl IntoIterator<Item = impl Into<String>>,
    settings: &ImageSettings,
) -> DatasetInfo {
    let [height, width] = settings.size.unwrap_or(SIZE);
    let kind = InputKind::Image {
        channels: 3,
        height,
        width,
        normalization: Some(imagenet_normalization()),
    };
    let how = Preprocessing::Image {
        resize: settings.resize,
        filter: settings.filter,
    };
    DatasetInfo {
        name: name.into(),
        inputs: InputSpec::new("image", kind),
        output: OutputSpec::named(classes),
        preprocessing: [("image".into(), how)].into(),
    }
}
