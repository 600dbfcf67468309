//! From plain buffers to tensors: pictures become normalised floats on the device, tokens whole numbers.

use nac_data::{Batch, Buffer, DataError, DatasetInfo, InputKind, Values};
use nac_modules::model::{InputSpec, Inputs};
use tch::{Device, Kind, Tensor};

use crate::error::{Result, TrainError};

/// What a model of this crate reads from a data set.
///
/// # Errors
/// The data set has not exactly one input, `image` or `tokens`.
pub fn input_spec(info: &DatasetInfo) -> Result<InputSpec> {
    let fail = |reason: String| TrainError::Input {
        dataset: info.name.clone(),
        reason,
    };
    let [(name, kind)] = info.inputs.as_slice() else {
        let names: Vec<&str> = info.inputs.iter().map(|(name, _)| name.as_str()).collect();
        return Err(fail(format!(
            "expected one input, `image` or `tokens`, found {names:?}"
        )));
    };
    match (name.as_str(), kind) {
        (
            "image",
            &InputKind::Image {
                channels,
                height,
                width,
                ..
            },
        ) => Ok(InputSpec::Image {
            channels,
            height,
            width,
        }),
        (
            "tokens",
            &InputKind::Tokens {
                vocabulary,
                max_len,
                pad,
            },
        ) => Ok(InputSpec::Tokens {
            vocabulary,
            max_len,
            pad,
        }),
        _ => Err(fail(format!("no tokenizer for input `{name}`, {kind:?}"))),
    }
}

/// Makes tensors of the batches of one data set.
#[derive(Debug)]
pub struct Tensorizer {
    info: DatasetInfo,
    device: Device,
    scales: Vec<Option<(Tensor, Tensor)>>,
}

impl Tensorizer {
    /// For batches of a data set with this description.
    ///
    /// # Errors
    /// An image input has not one mean and one positive deviation for each channel.
    pub fn new(info: &DatasetInfo, device: Device) -> Result<Self> {
        let scale = |(name, kind): &(String, InputKind)| match kind {
            InputKind::Image {
                channels,
                mean,
                std,
                ..
            } => {
                if mean.len() != *channels
                    || std.len() != *channels
                    || std.iter().any(|s| *s <= 0.0)
                {
                    let reason = format!(
                        "input `{name}`: expected {channels} means and positive deviations"
                    );
                    return Err(TrainError::Input {
                        dataset: info.name.clone(),
                        reason,
                    });
                }
                let column = |values: &[f32]| {
                    Tensor::f_from_slice(values)?
                        .f_view([1, *channels as i64, 1, 1])?
                        .f_to_device(device)
                };
                Ok(Some((column(mean)?, column(std)?)))
            }
            _ => Ok(None),
        };
        let scales = info.inputs.iter().map(scale).collect::<Result<_>>()?;
        Ok(Self {
            info: info.clone(),
            device,
            scales,
        })
    }

    /// Inputs and labels of a batch, on the device. Bytes of an image become `(x/255 − mean)/std`; other
    /// numbers stay as they are.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`, float
    /// - tokens: `[batch, length]`, whole numbers
    /// - labels: `[batch]`, whole numbers
    ///
    /// # Errors
    /// An input is missing, or a label is not below the number of classes.
    pub fn tensors(&self, batch: &Batch) -> Result<(Inputs, Tensor)> {
        check_labels(batch, &self.info)?;
        let mut inputs = Inputs::new();
        for ((name, _), scale) in self.info.inputs.iter().zip(&self.scales) {
            let buffer = batch.input(name)?;
            let mut tensor = tensor(buffer)?.f_to_device(self.device)?;
            if let (Values::U8(_), Some((mean, std))) = (buffer.values(), scale) {
                if tensor.dim() != 4 || tensor.size()[1] != mean.size()[1] {
                    let expected = format!("[batch, {}, height, width]", mean.size()[1]);
                    let reason = format!(
                        "input `{name}`: expected {expected}, found {:?}",
                        tensor.size()
                    );
                    return Err(TrainError::Input {
                        dataset: self.info.name.clone(),
                        reason,
                    });
                }
                let unit = tensor.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
                tensor = unit.f_sub(mean)?.f_div(std)?;
            }
            inputs = inputs.with(name, tensor);
        }
        let labels = Tensor::f_from_slice(&batch.labels)?.f_to_device(self.device)?;
        Ok((inputs, labels))
    }
}

/// An error if a label is not below the number of classes.
pub(crate) fn check_labels(batch: &Batch, info: &DatasetInfo) -> Result<()> {
    let classes = info.classes;
    let fits = |label: &i64| usize::try_from(*label).is_ok_and(|label| label < classes);
    let Some(at) = batch.labels.iter().position(|label| !fits(label)) else {
        return Ok(());
    };
    let label = usize::try_from(batch.labels[at]).unwrap_or(usize::MAX);
    let index = batch.indices.get(at).copied().unwrap_or(at);
    Err(DataError::Label {
        dataset: info.name.clone(),
        index,
        label,
        classes,
    }
    .into())
}

fn tensor(buffer: &Buffer) -> Result<Tensor> {
    let shape: Vec<i64> = buffer.shape().iter().map(|&d| d as i64).collect();
    let flat = match buffer.values() {
        Values::U8(values) => Tensor::f_from_slice(values)?,
        Values::F32(values) => Tensor::f_from_slice(values)?,
        Values::I64(values) => Tensor::f_from_slice(values)?,
        other => {
            return Err(TrainError::Input {
                dataset: "batch".into(),
                reason: format!("no tensor for values of type {}", other.kind()),
            });
        }
    };
    Ok(flat.f_view(shape.as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::testing::InMemory;
    use nac_data::{Dataset, Loader, LoaderOptions};
    use std::sync::Arc;

    fn first_batch(dataset: InMemory) -> (DatasetInfo, Batch) {
        let info = dataset.info_owned();
        let loader = Loader::new(
            Arc::new(dataset),
            LoaderOptions {
                batch_size: 4,
                ..Default::default()
            },
        )
        .unwrap();
        let batch = loader.epoch(0, 0).next().unwrap().unwrap();
        (info, batch)
    }

    #[test]
    fn pictures_are_normalised_and_tokens_kept() {
        let (mut info, batch) = first_batch(InMemory::images(6, 2, 3, 3, 2));
        if let InputKind::Image { mean, std, .. } = &mut info.inputs[0].1 {
            (*mean, *std) = (vec![0.5, 0.25], vec![0.5, 0.1]);
        }
        assert_eq!(
            input_spec(&info).unwrap(),
            InputSpec::Image {
                channels: 2,
                height: 3,
                width: 3
            }
        );
        let (inputs, labels) = Tensorizer::new(&info, Device::Cpu)
            .unwrap()
            .tensors(&batch)
            .unwrap();
        let image = inputs.get("image").unwrap();
        assert_eq!(
            (image.size(), image.kind()),
            (vec![4, 2, 3, 3], Kind::Float)
        );
        let Values::U8(bytes) = batch.inputs[0].1.values() else {
            panic!()
        };
        // Example 1, channel 1, row 0, column 2.
        let expected = (f64::from(bytes[18 + 9 + 2]) / 255.0 - 0.25) / 0.1;
        assert!((image.double_value(&[1, 1, 0, 2]) - expected).abs() < 1e-5);
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), batch.labels);

        let (info, batch) = first_batch(InMemory::tokens(6, 9, 5, 2));
        let (inputs, _) = Tensorizer::new(&info, Device::Cpu)
            .unwrap()
            .tensors(&batch)
            .unwrap();
        let Values::I64(ids) = batch.inputs[0].1.values() else {
            panic!()
        };
        assert_eq!(
            Vec::<i64>::try_from(inputs.get("tokens").unwrap().flatten(0, 1)).unwrap(),
            *ids
        );
    }

    #[test]
    fn foreign_inputs_and_labels_are_refused() {
        let dataset = InMemory::images(6, 1, 3, 3, 2);
        let mut info = dataset.info().clone();
        info.inputs[0].0 = "photo".into();
        assert!(
            input_spec(&info)
                .unwrap_err()
                .to_string()
                .contains("`photo`")
        );
        info.inputs.clear();
        assert!(
            input_spec(&info)
                .unwrap_err()
                .to_string()
                .contains("expected one input")
        );
        let (info, mut batch) = first_batch(dataset);
        batch.labels[2] = 2;
        let error = Tensorizer::new(&info, Device::Cpu)
            .unwrap()
            .tensors(&batch)
            .unwrap_err()
            .to_string();
        assert!(error.contains("example 2 has label 2"), "{error}");
    }
}
