//! Pictures of one size held in memory.

use crate::{Buffer, DataError, Dataset, DatasetInfo, Example, Values};

/// Raw pictures one after another, and their labels.
pub(super) struct Pictures {
    info: DatasetInfo,
    shape: Vec<usize>,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Pictures {
    /// `pixels` holds as many pictures of `shape` as there are labels.
    pub(super) fn new(
        info: DatasetInfo,
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let size: usize = shape.iter().product();
        if pixels.len() != size * labels.len() {
            return Err(DataError::Shape {
                operation: format!("pictures of `{}`", info.name),
                expected: format!("{} pictures {shape:?}", labels.len()),
                found: format!("{} bytes", pixels.len()),
            });
        }
        Ok(Self {
            info,
            shape: shape.to_vec(),
            pixels,
            labels,
        })
    }
}

impl Dataset for Pictures {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let size: usize = self.shape.iter().product();
        let pixels = self.pixels[index * size..][..size].to_vec();
        let image = Buffer::new(self.shape.clone(), Values::U8(pixels))?;
        Ok(Example {
            inputs: vec![("image".into(), image)],
            label: self.labels[index].into(),
        })
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).map(|&label| label.into())
    }
}
