//! The resolved tokenizers of feature vectors and points.

use serde::Serialize;

use crate::model::spec::layer::{LinearSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, FeaturesConfig, PointsConfig};

/// Vectors, or Fourier features of points, through a linear layer; perhaps a learned vector per position beside them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorsSpec {
    /// Path of `linear` and `positions`, `[items, position_dim]`.
    pub path: String,
    /// Vectors of an example, the greatest number if it varies.
    pub items: usize,
    /// Numbers of a vector.
    pub dim: usize,
    /// Frequencies of the Fourier features; 0 for the numbers alone.
    pub bands: usize,
    /// To the features of a token.
    pub linear: LinearSpec,
    /// Features of a position; 0 for vectors without order.
    pub position_dim: usize,
    /// Whether vectors of which no number is one are padding.
    pub padded: bool,
}

impl VectorsSpec {
    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.linear.output + self.position_dim
    }
}

impl FeaturesConfig {
    /// The tokenizer with these settings at `path` for `items` vectors of `dim` features, or up to so many if they are
    /// `padded`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(
        &self,
        path: &str,
        (items, dim): (usize, usize),
        padded: bool,
    ) -> Result<VectorsSpec, ConfigError> {
        Ok(VectorsSpec {
            path: path.to_owned(),
            items: positive("items", items)?,
            dim,
            bands: 0,
            linear: linear(path, dim, self.dim)?,
            position_dim: self.position_dim,
            padded,
        })
    }
}

impl PointsConfig {
    /// The tokenizer with these settings at `path` for `points` points of `dims` coordinates.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(
        &self,
        path: &str,
        (points, dims): (usize, usize),
    ) -> Result<VectorsSpec, ConfigError> {
        let width = dims * (1 + 2 * self.bands);
        Ok(VectorsSpec {
            path: path.to_owned(),
            items: positive("points", points)?,
            dim: dims,
            bands: self.bands,
            linear: linear(path, width, self.dim)?,
            position_dim: 0,
            padded: false,
        })
    }
}

fn linear(path: &str, input: usize, output: usize) -> Result<LinearSpec, ConfigError> {
    let (input, output) = (positive("dim", input)?, positive("dim", output)?);
    Ok(LinearSpec::new(join(path, "linear"), input, output, true))
}

impl Node for VectorsSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("{} vectors of {}", self.items, self.dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.linear]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let positions = trained("positions", &[self.items, self.position_dim]);
        Vec::from_iter((self.position_dim > 0).then_some(positions))
    }
}
