//! Activations of feed-forward layers and the plain feed-forward block of the Perceiver IO baseline.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::Linear;
use crate::error::Result;
use crate::params::Scope;

/// Activation between the two projections of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Exact (erf) GELU.
    Gelu,
    /// First half times GELU of the second half; the first projection is twice as wide.
    Geglu,
}

impl Activation {
    /// How many times wider than the hidden layer the first projection must be.
    pub fn width_factor(self) -> usize {
        match self {
            Self::Gelu => 1,
            Self::Geglu => 2,
        }
    }

    /// Applies the activation to the last dimension.
    ///
    /// # Shapes
    /// - x: `[..., hidden · width_factor]`
    /// - output: `[..., hidden]`
    pub fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Self::Gelu => x.gelu("none"),
            Self::Geglu => {
                let halves = x.chunk(2, -1);
                &halves[0] * halves[1].gelu("none")
            }
        }
    }
}

/// Linear, GEGLU, linear. Parameters under `net.0` and `net.2`.
#[derive(Debug)]
pub struct FeedForward {
    expand: Linear,
    contract: Linear,
}

impl FeedForward {
    /// A block on `dim` features with a hidden layer of `multiplier · dim`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, dim: usize, multiplier: usize) -> Result<Self> {
        let hidden = dim * multiplier;
        let expand = Linear::new(
            scope.sub("net").sub(0),
            dim,
            hidden * Activation::Geglu.width_factor(),
            true,
        )?;
        let contract = Linear::new(scope.sub("net").sub(2), hidden, dim, true)?;
        Ok(Self { expand, contract })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - x: `[..., dim]`
    /// - output: as x
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.contract
            .forward(&Activation::Geglu.forward(&self.expand.forward(x)))
    }
}
