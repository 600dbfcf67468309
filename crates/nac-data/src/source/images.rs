//! Images of one size held in memory.

use crate::{Buffer, DataError, Dataset, DatasetInfo, Example, Target, Values};

/// Raw images one after another, and their classes.
pub(super) struct Images {
    info: DatasetInfo,
    shape: Vec<usize>,
    pixels: Vec<u8>,
    classes: Vec<u8>,
}

impl Images {
    /// `pixels` holds as many images of `shape` as there are classes.
    pub(super) fn new(
        info: DatasetInfo,
        shape: [usize; 3],
        pixels: Vec<u8>,
        classes: Vec<u8>,
    ) -> Result<Self, DataError> {
        let size: usize = shape.iter().product();
        if pixels.len() != size * classes.len() {
            return Err(DataError::Shape {
                operation: format!("images of `{}`", info.name),
                expected: format!("{} images {shape:?}", classes.len()),
                found: format!("{} bytes", pixels.len()),
            });
        }
        Ok(Self {
            info,
            shape: shape.to_vec(),
            pixels,
            classes,
        })
    }
}

impl Dataset for Images {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.classes.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let size: usize = self.shape.iter().product();
        let pixels = self.pixels[index * size..][..size].to_vec();
        let image = Buffer::new(self.shape.clone(), Values::U8(pixels))?;
        let target = Target::Class(self.classes[index].into());
        Ok(Example::new("image", image, target))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).map(|&class| class.into())
    }
}
