//! The scale of a modulated projection: `1 + α · LN(W_c c)`.

use super::compute::{Chunks, Compute};
use super::linear::Linear;
use super::operands::{Items, check_sizes, no_forward};
use super::partition::Partition;
use super::product::{Epilogue, weight_gradient};
use super::rows::{AffineBackward, Normalize, NormalizeBackward, Rows};
use crate::error::{EngineError, Result};

const OP: &str = "Modulation";

/// Sizes of a [`Modulation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModulationShape {
    /// Number of codes: modules, or modules of all examples.
    pub rows: usize,
    /// Width of a code.
    pub codes: usize,
    /// Width of the features that are scaled.
    pub features: usize,
}

/// Operands of a [`Modulation`].
#[derive(Debug, Clone, Copy)]
pub struct ModulationOperands<'a> {
    /// `[rows, codes]`
    pub codes: &'a [f32],
    /// `W_c`, `[features, codes]`
    pub weight: &'a [f32],
    /// `α`
    pub gain: f32,
    /// Whether one is added.
    pub add_one: bool,
}

/// Gradients of [`ModulationOperands`], overwritten.
#[derive(Debug)]
pub struct ModulationGradients<'a> {
    /// `[rows, codes]`
    pub codes: Option<&'a mut [f32]>,
    /// `[features, codes]`
    pub weight: &'a mut [f32],
    /// Of `α`.
    pub gain: Option<&'a mut f32>,
}

/// `scale = 1 + α · LN(W_c c)`, forward and backward, with a layer norm without gain and bias.
///
/// Keeps `W_c c` and the statistics of the norm.
#[derive(Debug)]
pub struct Modulation {
    shape: ModulationShape,
    weight: Linear,
    /// `[rows, features]`; the backward pass replaces it by its gradient.
    raw: Vec<f32>,
    statistics: Vec<f32>,
    /// Gain and bias of the norm, and the sums of their gradients.
    affine: Vec<f32>,
    sums: Vec<f32>,
    ready: bool,
}

impl Modulation {
    /// The modulation of `shape`.
    ///
    /// # Errors
    /// A size is zero.
    pub fn new(shape: ModulationShape) -> Result<Self> {
        let ModulationShape {
            rows,
            codes,
            features,
        } = shape;
        check_sizes(
            OP,
            &[("rows", rows), ("codes", codes), ("features", features)],
        )?;
        Ok(Self {
            shape,
            weight: Linear::new((features, codes)),
            raw: Vec::new(),
            statistics: Vec::new(),
            affine: Vec::new(),
            sums: Vec::new(),
            ready: false,
        })
    }

    fn partition(&self) -> Partition {
        Partition::new(Items {
            batch: 1,
            modules: self.shape.rows,
        })
    }

    /// The scale of each code.
    ///
    /// # Shapes
    /// - scale: `[rows, features]`
    ///
    /// # Errors
    /// A slice has another shape.
    pub fn forward(
        &mut self,
        compute: &Compute,
        operands: &ModulationOperands<'_>,
        scale: &mut [f32],
    ) -> Result<()> {
        let ModulationShape {
            rows,
            codes,
            features,
        } = self.shape;
        self.check(operands)?;
        EngineError::check_length(OP, "scale", scale.len(), &[rows, features])?;
        let weight = self.weight.forward(compute, operands.weight);
        self.raw.resize(rows * features, 0.0);
        self.statistics.resize(2 * rows, 0.0);
        self.affine.clear();
        self.affine.resize(features, operands.gain);
        let one = f32::from(u8::from(operands.add_one));
        self.affine.resize(2 * features, one);
        let partition = self.partition();
        let parts = (
            partition.rows(&mut self.raw, features),
            partition.rows(&mut self.statistics, 2),
            partition.rows(scale, features),
        );
        let affine = self.affine.split_at(features);
        compute.each(partition.parts(), parts, |index, parts, scratch| {
            let span = partition.span(index);
            let (raw, statistics, scale) = parts;
            let (raw, statistics) = (raw.into_slice(), statistics.into_slice());
            let x = &operands.codes[span.within(0, codes)];
            weight.product(x, raw, Epilogue::default(), &mut scratch.product);
            compute.arch().dispatch(Normalize {
                x: Rows {
                    data: raw,
                    width: features,
                },
                first: 0,
                affine: Some(affine),
                statistics,
                y: scale.into_slice(),
            });
        });
        self.ready = true;
        Ok(())
    }

    /// Gradients, after [`Self::forward`] with the same operands.
    ///
    /// # Shapes
    /// - d_scale: `[rows, features]`
    ///
    /// # Errors
    /// A slice has another shape, or there was no forward pass since the last backward pass.
    pub fn backward(
        &mut self,
        compute: &Compute,
        operands: &ModulationOperands<'_>,
        d_scale: &[f32],
        gradients: &mut ModulationGradients<'_>,
    ) -> Result<()> {
        let ModulationShape {
            rows,
            codes,
            features,
        } = self.shape;
        self.check(operands)?;
        EngineError::check_length(
            OP,
            "gradient of the scale",
            d_scale.len(),
            &[rows, features],
        )?;
        let length = gradients.weight.len();
        EngineError::check_length(OP, "gradient of the weight", length, &[features, codes])?;
        if let Some(d_codes) = &gradients.codes {
            let length = d_codes.len();
            EngineError::check_length(OP, "gradient of the codes", length, &[rows, codes])?;
        }
        if !std::mem::take(&mut self.ready) {
            return Err(no_forward(OP));
        }
        let d_codes = gradients.codes.as_deref_mut();
        self.d_raw(compute, operands.weight, d_scale, d_codes);
        let sizes = (rows, features, codes);
        weight_gradient(compute, &self.raw, operands.codes, sizes, gradients.weight);
        if let Some(gain) = gradients.gain.as_deref_mut() {
            let parts = self.sums.chunks_exact(2 * features);
            let sums = parts.flat_map(|part| &part[..features]);
            *gain = sums.map(|sum| f64::from(*sum)).sum::<f64>() as f32;
        }
        Ok(())
    }

    /// Replaces `raw` by its gradient, and passes it on to the codes.
    fn d_raw(
        &mut self,
        compute: &Compute,
        weight: &[f32],
        d_scale: &[f32],
        d_codes: Option<&mut [f32]>,
    ) {
        let ModulationShape {
            codes, features, ..
        } = self.shape;
        let partition = self.partition();
        self.sums.clear();
        self.sums.resize(partition.parts() * 2 * features, 0.0);
        let weight = d_codes
            .is_some()
            .then(|| self.weight.backward(compute, weight));
        let parts = (
            partition.rows(&mut self.raw, features),
            Chunks::new(&mut self.sums, 2 * features),
            d_codes.map(|d_codes| partition.rows(d_codes, codes)),
        );
        let gain = &self.affine[..features];
        compute.each(
            partition.parts(),
            parts,
            |index, (raw, sums, d_codes), scratch| {
                let span = partition.span(index);
                let raw = raw.into_slice();
                let (d_gain, d_bias) = sums.into_slice().split_at_mut(features);
                let d_raw = scratch.rows.take(raw.len());
                compute.arch().dispatch(NormalizeBackward {
                    x: Rows {
                        data: raw,
                        width: features,
                    },
                    first: 0,
                    statistics: &self.statistics[span.within(0, 2)],
                    d_y: &d_scale[span.within(0, features)],
                    added: None,
                    d_x: d_raw,
                    affine: Some(AffineBackward {
                        gain,
                        d_gain,
                        d_bias,
                    }),
                });
                raw.copy_from_slice(d_raw);
                if let Some((weight, d_codes)) = weight.as_ref().zip(d_codes) {
                    let d_codes = d_codes.into_slice();
                    weight.product(raw, d_codes, Epilogue::default(), &mut scratch.product);
                }
            },
        );
    }

    fn check(&self, operands: &ModulationOperands<'_>) -> Result<()> {
        let ModulationShape {
            rows,
            codes,
            features,
        } = self.shape;
        EngineError::check_length(OP, "codes", operands.codes.len(), &[rows, codes])?;
        EngineError::check_length(OP, "weight", operands.weight.len(), &[features, codes])
    }
}
