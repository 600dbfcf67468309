//! Between what a model is given and what it computes with: checks, and normalization of bytes.

use std::collections::BTreeMap;

use nac_core::model::{InputKind, InputSpec, Normalization};
use tch::{Device, Kind, Tensor};

use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;

/// Checks inputs against a spec and normalizes bytes.
#[derive(Debug)]
pub(crate) struct Preparation {
    spec: InputSpec,
    scales: BTreeMap<String, (Tensor, Tensor)>,
}

impl Preparation {
    /// For a model on `device`.
    ///
    /// # Errors
    /// The spec makes no sense.
    pub(crate) fn new(spec: &InputSpec, device: Device) -> Result<Self> {
        spec.check()?;
        let mut scales = BTreeMap::new();
        for (name, kind) in spec.iter() {
            if let InputKind::Image {
                normalization: Some(Normalization { mean, std }),
                ..
            } = kind
            {
                let column = |values: &[f32]| {
                    let column = Tensor::f_from_slice(values)?.f_view([1, -1, 1, 1])?;
                    Ok::<_, ModuleError>(column.f_to_device(device)?)
                };
                scales.insert(name.to_owned(), (column(mean)?, column(std)?));
            }
        }
        Ok(Self {
            spec: spec.clone(),
            scales,
        })
    }

    /// The inputs of the spec as tokenizers compute with them: bytes of images become `(x / 255 − mean) / std` in
    /// single precision, those of voxels 0 and 1, everything else stays as it is.
    ///
    /// # Shapes
    /// - inputs and result: as the spec says
    ///
    /// # Errors
    /// [`ModuleError::Input`]: an input is missing or has another type or shape, inputs differ in the number of
    /// examples, or there is one that the model does not read.
    pub(crate) fn prepare(&self, inputs: &Inputs) -> Result<Inputs> {
        let batch = inputs.batch_size();
        let mut ready = Inputs::new();
        for (name, kind) in self.spec.iter() {
            let tensor = inputs.get(name)?;
            check(name, kind, batch, tensor)?;
            let is_byte = tensor.kind() == Kind::Uint8;
            let tensor = if is_byte && matches!(kind, InputKind::Voxels { .. }) {
                tensor.f_to_kind(Kind::Float)?
            } else if is_byte && matches!(kind, InputKind::Image { .. }) {
                let unit = tensor.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
                match self.scales.get(name) {
                    Some((mean, std)) => unit.f_sub(mean)?.f_div(std)?,
                    None => unit,
                }
            } else {
                tensor.shallow_clone()
            };
            ready = ready.with(name, tensor);
        }
        match inputs.names().find(|name| self.spec.get(name).is_none()) {
            Some(name) => Err(ModuleError::Input {
                name: name.to_owned(),
                expected: format!("only {:?}", self.spec.names().collect::<Vec<_>>()),
                found: format!("{:?}", inputs.names().collect::<Vec<_>>()),
            }),
            None => Ok(ready),
        }
    }
}

fn check(name: &str, kind: &InputKind, batch: i64, tensor: &Tensor) -> Result<()> {
    let dtype = tensor.kind();
    let floats = matches!(
        dtype,
        Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16
    );
    let fits_dtype = match kind {
        InputKind::Image { .. } | InputKind::Voxels { .. } => floats || dtype == Kind::Uint8,
        InputKind::Tokens { .. } => {
            matches!(dtype, Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Uint8)
        }
        _ => floats,
    };
    let size = tensor.size();
    let shape: Vec<usize> = size
        .iter()
        .map(|&d| usize::try_from(d).unwrap_or(0))
        .collect();
    if fits_dtype && kind.fits(&shape) && size.first() == Some(&batch) {
        return Ok(());
    }
    Err(ModuleError::Input {
        name: name.to_owned(),
        expected: format!("{}, batch {batch}", kind.describe()),
        found: format!("{dtype:?} {size:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> InputSpec {
        let kind = InputKind::Image {
            channels: 2,
            height: 1,
            width: 3,
            normalization: Some(Normalization {
                mean: vec![0.4914, 0.25],
                std: vec![0.247, 0.1],
            }),
        };
        InputSpec::tokens(9, 4, 0).with("photo", kind)
    }

    fn inputs() -> Inputs {
        let bytes = Tensor::from_slice(&[0_u8, 7, 255, 3, 77, 200]).view([1, 2, 1, 3]);
        Inputs::new()
            .with("photo", bytes)
            .with("tokens", Tensor::from_slice(&[1_i64, 2]).view([1, 2]))
    }

    #[test]
    fn bytes_become_the_numbers_that_other_engines_compute_with() {
        let spec = spec();
        let preparation = Preparation::new(&spec, Device::Cpu).unwrap();
        let ready = preparation.prepare(&inputs()).unwrap();
        let found = Vec::<f32>::try_from(ready.get("photo").unwrap().flatten(0, -1)).unwrap();
        let Some(InputKind::Image {
            normalization: Some(by),
            ..
        }) = spec.get("photo")
        else {
            panic!("an image")
        };
        let bytes = [(0, 0_u8), (0, 7), (0, 255), (1, 3), (1, 77), (1, 200)];
        let expected: Vec<f32> = bytes.map(|(channel, x)| by.apply(channel, x)).into();
        assert_eq!(found, expected);
        // Floats are normalized already.
        let floats = inputs().with("photo", ready.get("photo").unwrap().shallow_clone());
        let same = preparation.prepare(&floats).unwrap();
        assert_eq!(same.get("photo").unwrap(), ready.get("photo").unwrap());
    }

    #[test]
    fn other_inputs_are_refused_with_their_names() {
        let preparation = Preparation::new(&spec(), Device::Cpu).unwrap();
        let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
        let only_photo = Inputs::new().with("photo", zeros(&[1, 2, 1, 3], Kind::Float));
        for (inputs, parts) in [
            (only_photo, ["`tokens`", "photo"]),
            (
                inputs().with("photo", zeros(&[1, 2, 3, 1], Kind::Float)),
                ["`photo`", "[1, 2, 3, 1]"],
            ),
            (
                inputs().with("photo", zeros(&[1, 2, 1, 3], Kind::Int64)),
                ["u8 or float", "Int64"],
            ),
            (
                inputs().with("tokens", zeros(&[1, 5], Kind::Int64)),
                ["1..=4", "[1, 5]"],
            ),
            (
                inputs().with("tokens", zeros(&[2, 4], Kind::Int64)),
                ["batch 1", "[2, 4]"],
            ),
            (
                inputs().with("tokens", zeros(&[1, 4], Kind::Float)),
                ["integers", "Float"],
            ),
            (
                inputs().with("extra", zeros(&[1, 4], Kind::Float)),
                ["`extra`", "\"photo\""],
            ),
        ] {
            let error = preparation.prepare(&inputs).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
