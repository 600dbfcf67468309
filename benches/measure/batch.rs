//! The images that are measured with.

use anyhow::Result;
use nac_engine::Precision;
use ndarray::Array4;
use tch::{Device, Kind, Tensor};

use super::named::Named;

/// Images with labels.
#[derive(Debug)]
pub struct Batch {
    /// `[batch, channels, height, width]`
    pub image: Tensor,
    /// The same in single precision, for engines without tensors.
    pub pixels: Array4<f32>,
    /// `[batch]`
    pub labels: Tensor,
}

impl Batch {
    /// Random images and labels, the same for all engines.
    ///
    /// # Errors
    /// The model does not read images, or it does not fit into the device's memory.
    pub fn random(model: &Named, size: usize, device: Device, weights: Precision) -> Result<Self> {
        let [channels, height, width] = model.image()?;
        let shape = [size, channels, height, width];
        tch::manual_seed(1);
        let image = Tensor::f_randn(shape.map(|side| side as i64), (Kind::Float, Device::Cpu))?;
        let classes = model.file.output.width() as i64;
        let labels = Tensor::f_randint(classes, [size as i64], (Kind::Int64, Device::Cpu))?;
        let pixels: Vec<f32> = Vec::try_from(image.f_flatten(0, -1)?)?;
        let kind = match weights {
            Precision::Bf16 => Kind::BFloat16,
            Precision::F32 | Precision::Int8 => Kind::Float,
        };
        Ok(Self {
            pixels: Array4::from_shape_vec((size, channels, height, width), pixels)?,
            image: image.f_to_kind(kind)?.f_to_device(device)?,
            labels: labels.f_to_device(device)?,
        })
    }
}
