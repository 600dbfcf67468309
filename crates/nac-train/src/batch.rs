//! From the plain buffers of a batch to arrays and tensors, in the types that they have.

use nac_data::{Batch, Targets};
use nac_engine::InputView;
use nac_modules::model::Inputs;
pub use nac_predict::arrays;
use ndarray::ArrayViewD;
use tch::kind::Element;
use tch::{Device, TchError, Tensor};

use crate::error::{Result, TrainError};

/// Tensors of plain arrays, on a device, in the types that the arrays have.
///
/// # Errors
/// libtorch has no memory for them.
pub fn input_tensors(
    arrays: &nac_engine::Inputs<'_>,
    device: Device,
) -> std::result::Result<Inputs, TchError> {
    let mut inputs = Inputs::new();
    for (name, view) in arrays.iter() {
        let tensor = match view {
            InputView::U8(view) => tensor(view)?,
            InputView::F32(view) => tensor(view)?,
            InputView::I64(view) => tensor(view)?,
        };
        inputs = inputs.with(name, tensor.f_to_device(device)?);
    }
    Ok(inputs)
}

fn tensor<T: Element + Copy>(view: &ArrayViewD<'_, T>) -> std::result::Result<Tensor, TchError> {
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    let flat = match view.as_slice() {
        Some(values) => Tensor::f_from_slice(values)?,
        None => Tensor::f_from_slice(&view.iter().copied().collect::<Vec<T>>())?,
    };
    flat.f_reshape(shape)
}

/// Inputs and targets of a batch as tensors on a device.
///
/// # Shapes
/// - inputs: as the loader stacked them: images `[batch, channels, height, width]` in bytes, tokens `[batch, length]`
/// - targets: classes `[batch]`, integers, or values `[batch, dim]`, floats, or shares of classes `[batch, classes]`,
///   floats
///
/// # Errors
/// As [`arrays`], or libtorch has no memory.
pub fn tensors(batch: &Batch, device: Device) -> Result<(Inputs, Tensor)> {
    let inputs = input_tensors(&arrays(batch)?, device)?;
    let targets = match &batch.targets {
        Targets::Classes(classes) => Tensor::f_from_slice(classes)?,
        Targets::Values { values, dim } => {
            Tensor::f_from_slice(values)?.f_view([-1, *dim as i64])?
        }
        Targets::Soft { values, classes } => {
            Tensor::f_from_slice(values)?.f_view([-1, *classes as i64])?
        }
        _ => {
            return Err(TrainError::Input {
                dataset: "batch".into(),
                reason: "no tensor for targets of this kind".into(),
            });
        }
    };
    Ok((inputs, targets.f_to_device(device)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::testing::InMemory;
    use nac_data::{Loader, LoaderOptions, Values};
    use std::sync::Arc;
    use tch::Kind;

    fn first_batch(dataset: InMemory) -> Batch {
        let options = LoaderOptions {
            batch_size: 4,
            ..Default::default()
        };
        let loader = Loader::new(Arc::new(dataset), options).unwrap();
        loader.epoch(0, 0).next().unwrap().unwrap()
    }

    #[test]
    fn numbers_types_and_shapes_stay() {
        let batch = first_batch(InMemory::images(6, 2, 3, 5, 2));
        let (inputs, targets) = tensors(&batch, Device::Cpu).unwrap();
        let image = inputs.get("image").unwrap();
        let found = (image.size(), image.kind());
        assert_eq!(found, (vec![4, 2, 3, 5], Kind::Uint8));
        let Values::U8(bytes) = batch.inputs[0].1.values() else {
            panic!("not bytes")
        };
        assert_eq!(Vec::<u8>::try_from(image.flatten(0, -1)).unwrap(), *bytes);
        let classes = Vec::<i64>::try_from(targets).unwrap();
        assert_eq!(classes, batch.targets.classes().unwrap());

        let batch = first_batch(InMemory::tokens(6, 9, 5, 2));
        let (inputs, _) = tensors(&batch, Device::Cpu).unwrap();
        let Values::I64(ids) = batch.inputs[0].1.values() else {
            panic!("not ids")
        };
        let tokens = inputs.get("tokens").unwrap().flatten(0, 1);
        assert_eq!(Vec::<i64>::try_from(tokens).unwrap(), *ids);

        let batch = first_batch(InMemory::regression(6, 3, 2));
        let (inputs, targets) = tensors(&batch, Device::Cpu).unwrap();
        assert_eq!(inputs.get("features").unwrap().size(), [4, 3, 2]);
        assert_eq!((targets.size(), targets.kind()), (vec![4, 2], Kind::Float));
        let Targets::Values { values, .. } = &batch.targets else {
            panic!("not values")
        };
        assert_eq!(targets.double_value(&[3, 1]) as f32, values[7]);
        assert_eq!(arrays(&batch).unwrap().batch(), 4);
    }
}
