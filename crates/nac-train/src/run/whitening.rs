//! Filters of whitening convolutions, from the training images, before a run starts.
//!
//! The filters are the principal components of the patches of some training images, each divided by the square root of its
//! variance, and their negatives, as in the networks that are trained fast on CIFAR-10 (arXiv 2404.00498).

use nac_core::model::spec::{TokenizerSpec, WhiteningSpec};
use nac_core::model::{InputKind, Normalization};
use nac_data::random::Stream;
use nac_data::{Buffer, Dataset, Values};
use nac_modules::model::Model;
use tch::{Device, Kind, Tensor};

use super::model_file;
use crate::config::ValidConfig;
use crate::error::{Result, TrainError};

/// Added to variances, so that components that hardly vary are not blown up.
const EPSILON: f64 = 5e-4;
/// Images whose patches are unfolded together.
const GROUP: usize = 64;

/// Overwrites the filters of each whitening convolution of the model by the principal components of patches of training
/// images, which the seed chooses. Images are not augmented.
///
/// # Errors
/// An example cannot be read or lacks an image, or the decomposition fails.
pub fn set_whitening(config: &ValidConfig, train: &dyn Dataset, model: &dyn Model) -> Result<()> {
    let spec = model_file(config, train.info())?.resolve();
    for input in spec.map_err(nac_modules::ModuleError::from)?.inputs.inputs {
        let TokenizerSpec::ConvStem(stem) = &input.tokenizer else {
            continue;
        };
        let (Some(whitening), None) = (&stem.whitening, &input.shared_with) else {
            continue;
        };
        let name = format!("{}.weight", whitening.path);
        let Some(weight) = model.params().get(&name) else {
            let reason = "the model has no such buffer".to_owned();
            return Err(TrainError::setting(&name, "whitening", reason));
        };
        let images = Images {
            train,
            name: &input.name,
            kind: &input.kind,
        };
        let filters = images.filters(whitening, config.seed)?;
        tch::no_grad(|| weight.shallow_clone().f_copy_(&filters))?;
    }
    Ok(())
}

/// An image input of a data set.
struct Images<'a> {
    train: &'a dyn Dataset,
    name: &'a str,
    kind: &'a InputKind,
}

impl Images<'_> {
    /// The filters, `[2 · components, channels, side, side]`.
    fn filters(&self, spec: &WhiteningSpec, seed: u64) -> Result<Tensor> {
        let mut indices: Vec<usize> = (0..self.train.len()).collect();
        Stream::new(seed, "whitening", &[]).shuffle(&mut indices);
        indices.truncate(spec.images);
        let side = spec.side as i64;
        let components = (spec.input * spec.side * spec.side) as i64;
        let double = (Kind::Double, Device::Cpu);
        let mut sum = Tensor::f_zeros([components], double)?;
        let mut products = Tensor::f_zeros([components, components], double)?;
        let mut count = 0;
        for group in indices.chunks(GROUP) {
            let images = group.iter().map(|&index| self.image(index));
            let images = Tensor::f_stack(&images.collect::<Result<Vec<_>>>()?, 0)?;
            let patches = images
                .f_im2col([side, side], [1, 1], [0, 0], [1, 1])?
                .f_permute([1, 0, 2])?
                .f_reshape([components, -1])?
                .f_to_kind(Kind::Double)?;
            count += patches.size()[1];
            sum = sum.f_add(&patches.f_sum_dim_intlist(1_i64, false, Kind::Double)?)?;
            products = products.f_add(&patches.f_matmul(&patches.f_transpose(0, 1)?)?)?;
        }
        let count = count.max(1) as f64;
        let mean = sum.f_div_scalar(count)?;
        let covariance = products.f_div_scalar(count)?.f_sub(&mean.f_outer(&mean)?)?;
        let (variances, vectors) = covariance.f_linalg_eigh("L")?;
        // Columns are components, the one of least variance first.
        let scale = variances
            .f_clamp_min(0.0)?
            .f_add_scalar(EPSILON)?
            .f_rsqrt()?;
        let filters = vectors.f_mul(&scale)?.f_transpose(0, 1)?.f_flip([0])?;
        let filters = filters.f_mul(&signs(&filters)?)?;
        let both = Tensor::f_cat(&[&filters, &filters.f_neg()?], 0)?;
        Ok(both.f_reshape([2 * components, spec.input as i64, side, side])?)
    }

    /// An image as the model computes with it, `[channels, height, width]`.
    fn image(&self, index: usize) -> Result<Tensor> {
        let example = self.train.get(index)?;
        let input = example.input(self.name);
        let floats = match (input.map(Buffer::values), self.kind) {
            (Some(Values::U8(bytes)), InputKind::Image { normalization, .. }) => {
                let plane = bytes.len() / input.map_or(1, |input| input.shape()[0].max(1));
                normalized(bytes, plane.max(1), normalization.as_ref())
            }
            (Some(Values::F32(floats)), _) => floats.clone(),
            _ => {
                return Err(TrainError::Input {
                    dataset: self.train.info().name.clone(),
                    reason: format!("example {index} has no image `{}`", self.name),
                });
            }
        };
        let shape = input.map(Buffer::shape).unwrap_or_default();
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        Ok(Tensor::f_from_slice(&floats)?.f_reshape(&shape)?)
    }
}

/// Bytes of planes of a size as the model computes with them.
fn normalized(bytes: &[u8], plane: usize, normalization: Option<&Normalization>) -> Vec<f32> {
    let float = |(index, &byte): (usize, &u8)| match normalization {
        Some(by) => by.apply(index / plane, byte),
        None => f32::from(byte) / 255.0,
    };
    bytes.iter().enumerate().map(float).collect()
}

/// For each row, the sign of its entry of greatest magnitude: a component and its negative are the same.
fn signs(filters: &Tensor) -> Result<Tensor> {
    let greatest = filters.f_abs()?.f_argmax(1, true)?;
    Ok(filters.f_gather(1, &greatest, false)?.f_sign()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::run::build_model;
    use nac_data::testing::InMemory;
    use nac_data::{DatasetInfo, Example, InputSpec, OutputSpec, Target};
    use nac_modules::model::ImageTokenizer;

    /// Images whose neighbouring pixels and whose channels are correlated.
    fn images() -> InMemory {
        let mut stream = Stream::new(3, "pixels", &[]);
        let example = |index: usize| {
            let mut bytes = vec![0_u8; 2 * 8 * 8];
            for at in 0..64 {
                let before = if at % 8 > 0 { bytes[at - 1] } else { 128 };
                let draw = stream.below(256) as u8;
                bytes[at] = before / 2 + draw / 2;
                bytes[64 + at] = bytes[at] / 2 + (stream.below(100)) as u8;
            }
            let image = Buffer::new(vec![2, 8, 8], Values::U8(bytes)).unwrap();
            Example::new("image", image, Target::Class(index % 2))
        };
        let kind = InputKind::Image {
            channels: 2,
            height: 8,
            width: 8,
            normalization: Some(Normalization {
                mean: vec![0.5, 0.25],
                std: vec![0.2, 0.1],
            }),
        };
        let info = DatasetInfo {
            name: "pixels".into(),
            inputs: InputSpec::new("image", kind),
            output: OutputSpec::classes(2),
            preprocessing: Default::default(),
        };
        InMemory::new(info, (0..40).map(example).collect())
    }

    #[test]
    fn patches_of_training_images_become_uncorrelated() {
        let mut config = RunConfig::default();
        config.model.kind = nac_modules::model::ModelKind::StemOnly;
        config.model.image_tokenizer = ImageTokenizer::ConvStem;
        (
            config.model.conv_stem.whitening,
            config.model.conv_stem.whitening_images,
        ) = (2, 40);
        let (config, train) = (config.check().unwrap(), images());
        let build = || build_model(&config, train.info(), Device::Cpu).unwrap();
        let whitened = || {
            let model = build();
            set_whitening(&config, &train, model.as_ref()).unwrap();
            model.params().export().unwrap()
        };
        let (before, after) = (build().params().export().unwrap(), whitened());
        let changed = before.keys().filter(|name| before[*name] != after[*name]);
        assert_eq!(Vec::from_iter(changed), ["tokenizer.whitening.weight"]);
        assert_eq!(whitened(), after, "fixed by the seed");
        let filters = &after["tokenizer.whitening.weight"];
        assert_eq!(filters.size(), [16, 2, 2, 2]);
        assert_eq!(filters.narrow(0, 0, 8), -filters.narrow(0, 8, 8));
        let images = Images {
            train: &train,
            name: "image",
            kind: train.info().inputs.get("image").unwrap(),
        };
        let all: Vec<Tensor> = (0..40).map(|index| images.image(index).unwrap()).collect();
        let maps = Tensor::stack(&all, 0).conv2d(
            &filters.narrow(0, 0, 8),
            None::<Tensor>,
            [1, 1],
            [0, 0],
            [1, 1],
            1,
        );
        let rows = maps.permute([1, 0, 2, 3]).reshape([8, -1]);
        let rows = &rows - rows.mean_dim(1_i64, true, Kind::Float);
        let covariance = rows.matmul(&rows.transpose(0, 1)) / rows.size()[1];
        let off: Tensor = &covariance - Tensor::eye(8, (Kind::Float, Device::Cpu));
        // The least variance is far above epsilon.
        assert!(off.abs().max().double_value(&[]) < 0.02, "{covariance}");
    }
}
