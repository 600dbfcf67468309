//! From plain buffers to arrays: what [`batch`](crate::batch) is for libtorch, for engines that do without.

use nac_data::{Batch, DatasetInfo, InputKind, Values};
use nac_engine::Input;
use ndarray::{Array2, Array4, ShapeError};

use crate::batch::check_labels;
use crate::error::{Result, TrainError};

/// A batch as engines read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrays {
    values: Numbers,
    /// Labels, each below the number of classes.
    pub labels: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Numbers {
    Image(Array4<f32>),
    Tokens(Array2<i64>),
}

impl Arrays {
    /// Input and labels of a batch. Bytes of an image become `(x/255 − mean)/std`; other numbers stay as they are.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - tokens: `[batch, length]`
    ///
    /// # Errors
    /// The data set has not exactly one input, `image` or `tokens`; the batch has it in another form; or a label is not
    /// below the number of classes.
    pub fn of(batch: &Batch, info: &DatasetInfo) -> Result<Self> {
        let fail = |reason: String| TrainError::Input {
            dataset: info.name.clone(),
            reason,
        };
        check_labels(batch, info)?;
        let [(name, kind)] = info.inputs.as_slice() else {
            let reason = "expected one input, `image` or `tokens`".into();
            return Err(fail(reason));
        };
        let buffer = batch.input(name)?;
        let shape = buffer.shape();
        let other = |_: ShapeError| fail(format!("input `{name}` is {shape:?}"));
        let values = match (kind, buffer.values(), shape) {
            (InputKind::Image { channels, .. }, Values::F32(pixels), &[n, c, h, w])
                if c == *channels =>
            {
                let image = Array4::from_shape_vec((n, c, h, w), pixels.clone());
                Numbers::Image(image.map_err(other)?)
            }
            (InputKind::Image { mean, std, .. }, Values::U8(pixels), &[n, c, h, w])
                if mean.len() == c && std.len() == c =>
            {
                let pixels = pixels.iter().map(|&x| f32::from(x) / 255.0).collect();
                let mut image = Array4::from_shape_vec((n, c, h, w), pixels).map_err(other)?;
                for ((_, channel, _, _), x) in image.indexed_iter_mut() {
                    *x = (*x - mean[channel]) / std[channel];
                }
                Numbers::Image(image)
            }
            (InputKind::Tokens { .. }, Values::I64(ids), &[n, length]) => {
                let tokens = Array2::from_shape_vec((n, length), ids.clone());
                Numbers::Tokens(tokens.map_err(other)?)
            }
            _ => {
                let (kind, found) = (kind, buffer.describe());
                return Err(fail(format!(
                    "no array for input `{name}`, {kind:?}, {found}"
                )));
            }
        };
        let labels = batch.labels.iter();
        let labels = labels.map(|&label| usize::try_from(label).unwrap_or(0));
        Ok(Self {
            values,
            labels: labels.collect(),
        })
    }

    /// What an engine reads.
    pub fn input(&self) -> Input<'_> {
        match &self.values {
            Numbers::Image(image) => Input::Image(image.view()),
            Numbers::Tokens(tokens) => Input::Tokens(tokens.view()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nac_data::testing::InMemory;
    use nac_data::{Buffer, Loader, LoaderOptions};
    use tch::{Device, Kind};

    use super::*;
    use crate::batch::Tensorizer;

    fn batch(dataset: InMemory) -> (DatasetInfo, Batch) {
        let info = dataset.info_owned();
        let options = LoaderOptions {
            batch_size: 4,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(Arc::new(dataset), options).unwrap();
        let batch = loader.epoch(0, 0).next().unwrap().unwrap();
        (info, batch)
    }

    #[test]
    fn the_numbers_are_those_that_libtorch_gets() {
        for dataset in [
            InMemory::images(6, 2, 3, 5, 2),
            InMemory::tokens(6, 9, 5, 2),
        ] {
            let (mut info, batch) = batch(dataset);
            if let InputKind::Image { mean, std, .. } = &mut info.inputs[0].1 {
                (*mean, *std) = (vec![0.5, 0.25], vec![0.5, 0.1]);
            }
            let arrays = Arrays::of(&batch, &info).unwrap();
            let (inputs, labels) = Tensorizer::new(&info, Device::Cpu)
                .unwrap()
                .tensors(&batch)
                .unwrap();
            let tensor = inputs.get(&info.inputs[0].0).unwrap();
            let expected = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1));
            let (shape, found): (Vec<usize>, Vec<f64>) = match arrays.input() {
                Input::Image(x) => (x.shape().into(), x.iter().map(|&x| x.into()).collect()),
                Input::Tokens(x) => (x.shape().into(), x.iter().map(|&x| x as f64).collect()),
            };
            assert_eq!(found, expected.unwrap());
            let sizes: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
            assert_eq!(shape, sizes);
            let labels = Vec::<i64>::try_from(labels).unwrap();
            assert!(arrays.labels.iter().map(|&l| l as i64).eq(labels));
        }
    }

    #[test]
    fn other_forms_and_labels_are_refused() {
        let (info, whole) = batch(InMemory::images(6, 1, 3, 3, 2));
        let mut wrong = whole.clone();
        wrong.labels[1] = -1;
        assert!(Arrays::of(&wrong, &info).is_err());
        let mut wrong = whole.clone();
        wrong.inputs[0].1 = Buffer::tokens(vec![1, 2]);
        let error = Arrays::of(&wrong, &info).unwrap_err().to_string();
        assert!(error.contains("no array for input `image`"), "{error}");
        let mut none = info.clone();
        none.inputs.clear();
        assert!(Arrays::of(&whole, &none).is_err());
    }
}
