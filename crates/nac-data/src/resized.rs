//! [`resize_images`]: a data set with the image size of a model that was trained on another one.

use std::path::Path;
use std::sync::Arc;

use crate::transform::resized_crop::{Window, resized_crop};
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, ResizeFilter,
    SharedDataset, Values,
};

/// The data set with images of the sizes, and all inputs with the description, that `inputs` gives: what a model reads that
/// was trained on `inputs`. The data set itself if it has these sizes.
///
/// Images are resized as PIL does it with its bilinear filter, without keeping the ratio of their sides. Their values are
/// not changed otherwise: the model normalises them as those it was trained on.
///
/// # Errors
/// [`DataError::Config`] if the data set has other inputs, or images with another number of channels.
pub fn resize_images(
    dataset: SharedDataset,
    inputs: &InputSpec,
) -> Result<SharedDataset, DataError> {
    let found = &dataset.info().inputs;
    let refused = |name: &str, reason: String| DataError::Config {
        field: "data.name".into(),
        reason: format!("input `{name}` of `{}` {reason}", dataset.info().name),
    };
    let mut same = true;
    for (name, wanted) in inputs.iter() {
        let found = found
            .get(name)
            .ok_or_else(|| refused(name, "is missing, and the model reads it".into()))?;
        match (wanted, found) {
            (
                InputKind::Image {
                    channels,
                    height,
                    width,
                    ..
                },
                InputKind::Image {
                    channels: ours,
                    height: rows,
                    width: columns,
                    ..
                },
            ) => {
                if channels != ours {
                    let reason = format!("has {ours} channels, the model reads {channels}");
                    return Err(refused(name, reason));
                }
                same &= (height, width) == (rows, columns);
            }
            (wanted, found) if wanted == found => {}
            _ => return Err(refused(name, "is not what the model reads".into())),
        }
    }
    let mut info = dataset.info().clone();
    info.inputs = inputs.clone();
    Ok(Arc::new(Resized {
        dataset,
        info,
        same,
    }))
}

struct Resized {
    dataset: SharedDataset,
    info: DatasetInfo,
    /// Whether images have their size already.
    same: bool,
}

impl Dataset for Resized {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        let mut example = self.dataset.get(index)?;
        if self.same {
            return Ok(example);
        }
        for (name, kind) in self.info.inputs.iter() {
            let found = example.inputs.iter_mut().find(|(found, _)| found == name);
            if let (InputKind::Image { height, width, .. }, Some((_, image))) = (kind, found) {
                *image = resized(image, [*height, *width])?;
            }
        }
        Ok(example)
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.dataset.class(index)
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.dataset.group(index)
    }

    fn unit(&self, index: usize) -> Option<u64> {
        self.dataset.unit(index)
    }

    fn answers(&self) -> Option<&[usize]> {
        self.dataset.answers()
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.dataset.file(index)
    }
}

/// `u8 [channels, height, width]` at another size.
fn resized(image: &Buffer, size: [usize; 2]) -> Result<Buffer, DataError> {
    let (&[channels, height, width], Values::U8(pixels)) = (image.shape(), image.values()) else {
        return Err(DataError::Shape {
            operation: "resized image".into(),
            expected: "u8 [channels, height, width]".into(),
            found: format!("{:?}", image.shape()),
        });
    };
    if [height, width] == size {
        return Ok(image.clone());
    }
    let whole = Window {
        top: 0,
        left: 0,
        height,
        width,
    };
    resized_crop(
        [channels, height, width],
        pixels,
        whole,
        size,
        ResizeFilter::Bilinear,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;

    fn inputs(channels: usize, side: usize) -> InputSpec {
        InputSpec::image(channels, side, side)
    }

    #[test]
    fn images_get_the_size_of_the_model_and_keep_everything_else() {
        let small: SharedDataset = Arc::new(InMemory::images(6, 3, 4, 4, 2));
        let large = resize_images(small.clone(), &inputs(3, 8)).unwrap();
        assert_eq!((large.len(), large.class(3)), (6, small.class(3)));
        assert_eq!(large.info().inputs, inputs(3, 8));
        let (ours, theirs) = (large.get(3).unwrap(), small.get(3).unwrap());
        assert_eq!(ours.target, theirs.target);
        let image = ours.input("image").unwrap();
        assert_eq!(image.shape(), &[3, 8, 8]);
        let again = resize_images(large, &inputs(3, 4)).unwrap();
        assert_eq!(
            again.get(3).unwrap().input("image").unwrap().shape(),
            &[3, 4, 4]
        );
        let same = resize_images(small.clone(), &inputs(3, 4)).unwrap();
        assert_eq!(same.get(3).unwrap(), theirs);
    }

    #[test]
    fn a_constant_image_stays_constant() {
        let image = Buffer::new(vec![1, 3, 5], Values::U8(vec![77; 15])).unwrap();
        let resized = resized(&image, [7, 4]).unwrap();
        assert_eq!(resized.shape(), &[1, 7, 4]);
        assert_eq!(*resized.values(), Values::U8(vec![77; 28]));
    }

    #[test]
    fn other_inputs_are_refused() {
        let refused = |dataset: InMemory, wanted: InputSpec| {
            let found = resize_images(Arc::new(dataset), &wanted);
            found.err().unwrap().to_string()
        };
        let error = refused(InMemory::images(2, 1, 4, 4, 2), inputs(3, 4));
        assert!(
            error.contains("has 1 channels, the model reads 3"),
            "{error}"
        );
        let error = refused(InMemory::tokens(2, 9, 5, 2), inputs(3, 4));
        assert!(
            error.contains("`image`") && error.contains("missing"),
            "{error}"
        );
    }
}
