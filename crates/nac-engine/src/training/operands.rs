//! Operands that blocks have in common, and their gradients.

use super::rows::Rows;
use crate::error::{EngineError, Result};

/// Layer norm with `ε = 1e-5`.
#[derive(Debug, Clone, Copy)]
pub struct NormOperand<'a> {
    /// `[features]`
    pub gain: &'a [f32],
    /// `[features]`
    pub bias: &'a [f32],
}

/// `W (x ⊙ s) + b`.
#[derive(Debug, Clone, Copy)]
pub struct ProjectionOperand<'a> {
    /// `[outputs, inputs]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    /// Factors of the input features, `[modules, inputs]` for all examples or `[batch, modules, inputs]`; none for a
    /// plain layer.
    pub scale: Option<&'a [f32]>,
}

/// Gradients of a [`NormOperand`], overwritten.
#[derive(Debug)]
pub struct NormGradient<'a> {
    /// `[features]`
    pub gain: &'a mut [f32],
    /// `[features]`
    pub bias: &'a mut [f32],
}

/// Gradients of a [`ProjectionOperand`], overwritten.
#[derive(Debug)]
pub struct ProjectionGradient<'a> {
    /// `[outputs, inputs]`
    pub weight: &'a mut [f32],
    /// `[outputs]`
    pub bias: Option<&'a mut [f32]>,
    /// As the scale.
    pub scale: Option<&'a mut [f32]>,
}

/// States of modules.
#[derive(Debug, Clone, Copy)]
pub struct States<'a> {
    /// `[batch, modules, state]`, or `[modules, state]` if they are shared.
    pub values: &'a [f32],
    /// Whether every example has the same states.
    pub shared: bool,
}

/// Examples and the modules of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Items {
    pub(super) batch: usize,
    pub(super) modules: usize,
}

impl Items {
    pub(super) fn rows(self) -> usize {
        self.batch * self.modules
    }
}

impl NormOperand<'_> {
    pub(super) fn check(&self, op: &'static str, features: usize) -> Result<()> {
        EngineError::check_length(op, "gain of the norm", self.gain.len(), &[features])?;
        EngineError::check_length(op, "bias of the norm", self.bias.len(), &[features])
    }

    pub(super) fn pair(&self) -> (&[f32], &[f32]) {
        (self.gain, self.bias)
    }
}

impl NormGradient<'_> {
    pub(super) fn reborrow(&mut self) -> NormGradient<'_> {
        NormGradient {
            gain: &mut *self.gain,
            bias: &mut *self.bias,
        }
    }

    pub(super) fn check(&self, op: &'static str, features: usize) -> Result<()> {
        EngineError::check_length(op, "gradient of the gain", self.gain.len(), &[features])?;
        EngineError::check_length(
            op,
            "gradient of the norm's bias",
            self.bias.len(),
            &[features],
        )
    }
}

/// Outputs and inputs of a projection.
pub(super) type Widths = (usize, usize);

impl<'a> ProjectionOperand<'a> {
    pub(super) fn check(
        &self,
        op: &'static str,
        items: Items,
        (outputs, inputs): Widths,
    ) -> Result<()> {
        EngineError::check_length(op, "weight", self.weight.len(), &[outputs, inputs])?;
        if let Some(bias) = self.bias {
            EngineError::check_length(op, "bias", bias.len(), &[outputs])?;
        }
        match self.scale {
            Some(scale) if scale.len() != items.modules * inputs => {
                let expected = [items.batch, items.modules, inputs];
                EngineError::check_length(op, "scale", scale.len(), &expected)
            }
            _ => Ok(()),
        }
    }

    /// The scale by rows of `inputs` features.
    pub(super) fn scale_rows(&self, inputs: usize) -> Option<Rows<'a>> {
        self.scale.map(|data| Rows {
            data,
            width: inputs,
        })
    }

    /// Whether no example has a scale of its own.
    pub(super) fn is_shared(&self, items: Items, inputs: usize) -> bool {
        self.scale
            .is_none_or(|scale| scale.len() == items.modules * inputs)
    }
}

impl ProjectionGradient<'_> {
    pub(super) fn check(&self, op: &'static str, of: &ProjectionOperand<'_>) -> Result<()> {
        let length = |name, found: usize, expected: usize| {
            EngineError::check_length(op, name, found, &[expected])
        };
        length("gradient of the weight", self.weight.len(), of.weight.len())?;
        if let Some(bias) = &self.bias {
            let expected = of.bias.map_or(0, <[f32]>::len);
            length("gradient of the bias", bias.len(), expected)?;
        }
        if let Some(scale) = &self.scale {
            let expected = of.scale.map_or(0, <[f32]>::len);
            length("gradient of the scale", scale.len(), expected)?;
        }
        Ok(())
    }
}

impl<'a> States<'a> {
    pub(super) fn check(
        &self,
        op: &'static str,
        name: &'static str,
        items: Items,
        features: usize,
    ) -> Result<()> {
        let batch = if self.shared { 1 } else { items.batch };
        let expected = [batch, items.modules, features];
        EngineError::check_length(op, name, self.values.len(), &expected)
    }

    pub(super) fn rows(&self, features: usize) -> Rows<'a> {
        Rows {
            data: self.values,
            width: features,
        }
    }
}

/// Refuses factors of the branch that are not one for each example.
pub(super) fn check_keep(op: &'static str, keep: Option<&[f32]>, batch: usize) -> Result<()> {
    keep.map_or(Ok(()), |keep| {
        EngineError::check_length(op, "keep", keep.len(), &[batch])
    })
}

/// Refuses sizes of zero.
pub(super) fn check_sizes(op: &'static str, sizes: &[(&'static str, usize)]) -> Result<()> {
    let zero = sizes.iter().find(|(_, size)| *size == 0);
    zero.map_or(Ok(()), |(name, _)| {
        Err(EngineError::Input {
            op,
            expected: "sizes of at least 1".to_owned(),
            found: format!("{name} = 0"),
        })
    })
}

/// The error of a backward pass without a forward pass before it.
pub(super) fn no_forward(op: &'static str) -> EngineError {
    EngineError::Input {
        op,
        expected: "a forward pass before each backward pass".to_owned(),
        found: "a backward pass without one".to_owned(),
    }
}
