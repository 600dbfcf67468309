//! The examples that are measured with.

use anyhow::{Context, Result, bail};
use nac_core::model::InputKind;
use nac_data::testing::InMemory;
use nac_data::{Buffer, Dataset as _, DatasetInfo, Example, Target, Targets, Values};
use nac_engine::Precision;
use nac_modules::model::Inputs;
use ndarray::{Array2, Array4};
use tch::{Device, Kind, Tensor};

use super::named::Named;

/// Random images or sequences of symbols with labels, in the forms that engines take.
#[derive(Debug)]
pub struct Batch {
    /// As tensors on the device.
    pub inputs: Inputs,
    /// `[batch]`
    pub labels: Tensor,
    /// As buffers, for the trainer.
    pub buffers: nac_data::Batch,
    arrays: Arrays,
}

/// Inputs for engines without tensors.
#[derive(Debug)]
enum Arrays {
    /// `[batch, channels, height, width]`
    Images(Array4<f32>),
    /// `[batch, length]`
    Tokens(Array2<i64>),
}

impl Batch {
    /// Random examples, the same for all engines. Sequences are as long as the model reads and hold no padding.
    ///
    /// # Errors
    /// The model reads neither an image nor symbols, or they do not fit into the device's memory.
    pub fn random(model: &Named, size: usize, device: Device, weights: Precision) -> Result<Self> {
        tch::manual_seed(1);
        let (name, input) = model.input()?;
        let (tensor, arrays) = match input {
            InputKind::Tokens {
                vocabulary,
                max_len,
                pad,
            } => symbols([size, *max_len], *vocabulary as i64, *pad)?,
            _ => images(model, size)?,
        };
        let classes = model.file.output.width() as i64;
        let labels = Tensor::f_randint(classes, [size as i64], (Kind::Int64, Device::Cpu))?;
        let tensor = match weights {
            Precision::Bf16 if matches!(arrays, Arrays::Images(_)) => {
                tensor.f_to_kind(Kind::BFloat16)?
            }
            _ => tensor,
        };
        Ok(Self {
            buffers: buffers(name, &arrays, &labels)?,
            inputs: Inputs::new().with(name, tensor.f_to_device(device)?),
            labels: labels.f_to_device(device)?,
            arrays,
        })
    }

    /// The images, `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// They are sequences of symbols.
    pub fn image(&self) -> Result<&Tensor> {
        match self.arrays {
            Arrays::Images(_) => Ok(self.inputs.get("image")?),
            Arrays::Tokens(_) => bail!("this engine reads images only"),
        }
    }

    /// For engines without tensors.
    pub fn arrays(&self) -> nac_engine::Inputs<'_> {
        match &self.arrays {
            Arrays::Images(pixels) => nac_engine::Inputs::image(pixels.view()),
            Arrays::Tokens(ids) => nac_engine::Inputs::tokens(ids.view()),
        }
    }

    /// Number of examples.
    pub fn size(&self) -> usize {
        self.buffers.len()
    }

    /// A data set of this batch alone.
    ///
    /// # Errors
    /// Buffers do not fit their shapes.
    pub fn dataset(&self, model: &Named) -> Result<InMemory> {
        let info = DatasetInfo {
            name: "random examples".into(),
            inputs: model.file.inputs.clone(),
            output: model.file.output.clone(),
            preprocessing: Default::default(),
        };
        let (name, buffer) = self.buffers.inputs.first().context("there is one input")?;
        let shape = buffer.shape().get(1..).unwrap_or_default().to_vec();
        let one: usize = shape.iter().product();
        let mut examples = Vec::new();
        for (index, class) in self.buffers.targets.classes()?.iter().enumerate() {
            let range = index * one..(index + 1) * one;
            let values = match buffer.values() {
                Values::F32(values) => Values::F32(values[range].to_vec()),
                Values::I64(values) => Values::I64(values[range].to_vec()),
                _ => bail!("examples are floats or symbols"),
            };
            let target = Target::Class(usize::try_from(*class)?);
            examples.push(Example::new(
                name,
                Buffer::new(shape.clone(), values)?,
                target,
            ));
        }
        let dataset = InMemory::new(info, examples);
        debug_assert_eq!(dataset.len(), self.size());
        Ok(dataset)
    }
}

fn images(model: &Named, size: usize) -> Result<(Tensor, Arrays)> {
    let [channels, height, width] = model.image()?;
    let shape = [size, channels, height, width];
    let image = Tensor::f_randn(shape.map(|side| side as i64), (Kind::Float, Device::Cpu))?;
    let pixels: Vec<f32> = Vec::try_from(image.f_flatten(0, -1)?)?;
    let pixels = Array4::from_shape_vec((size, channels, height, width), pixels)?;
    Ok((image, Arrays::Images(pixels)))
}

fn symbols(shape: [usize; 2], vocabulary: i64, pad: i64) -> Result<(Tensor, Arrays)> {
    let size = shape.map(|side| side as i64);
    let drawn = Tensor::f_randint(vocabulary - 1, size, (Kind::Int64, Device::Cpu))?;
    // All symbols but the padding.
    let ids = &drawn + drawn.f_ge(pad)?.f_to_kind(Kind::Int64)?;
    let values: Vec<i64> = Vec::try_from(ids.f_flatten(0, -1)?)?;
    let arrays = Arrays::Tokens(Array2::from_shape_vec((shape[0], shape[1]), values)?);
    Ok((ids, arrays))
}

fn buffers(name: &str, arrays: &Arrays, labels: &Tensor) -> Result<nac_data::Batch> {
    let buffer = match arrays {
        Arrays::Images(pixels) => {
            let values = Values::F32(pixels.iter().copied().collect());
            Buffer::new(pixels.shape().to_vec(), values)?
        }
        Arrays::Tokens(ids) => {
            let values = Values::I64(ids.iter().copied().collect());
            Buffer::new(ids.shape().to_vec(), values)?
        }
    };
    let classes: Vec<i64> = Vec::try_from(labels)?;
    Ok(nac_data::Batch {
        inputs: vec![(name.to_owned(), buffer)],
        indices: (0..classes.len()).collect(),
        targets: Targets::Classes(classes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_never_padding() {
        let model = Named::resolve("listops").unwrap();
        let batch = Batch::random(&model, 8, Device::Cpu, Precision::F32).unwrap();
        let Arrays::Tokens(ids) = &batch.arrays else {
            panic!("ListOps is read as symbols");
        };
        assert_eq!(ids.dim(), (8, 50));
        assert!(ids.iter().all(|id| (1..18).contains(id)));
        assert!(batch.image().is_err());
        let dataset = batch.dataset(&model).unwrap();
        let third = dataset.get(3).unwrap();
        assert_eq!(
            third.inputs[0].1.values(),
            &Values::I64(ids.row(3).to_vec())
        );
    }
}
