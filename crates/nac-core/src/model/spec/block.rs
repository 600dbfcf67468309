//! Resolved read-in, propagators and read-out.

use serde::Serialize;

use super::attention::{AttentionRole, ReadInAttentionSpec, SkmdpaSpec};
use super::layer::{ModFfnSpec, NormSpec, ProjectionSpec, Surroundings, in_range, positive};
use super::node::{Node, join};
use crate::model::{ConfigError, PropagatorConfig, ReadInConfig, ReadInKind, ReadOutConfig};

/// How modules take tokens up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum InputMixerSpec {
    /// Each module attends to all tokens.
    Attention(Box<ReadInAttentionSpec>),
    /// Each module takes one token through a projection.
    Projection(ProjectionSpec),
}

/// Modules read tokens, then think about what they read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadInSpec {
    /// Path of the layers below; noise on codes draws from its `receiver_code_noise`.
    pub path: String,
    /// From tokens to states.
    pub mixer: InputMixerSpec,
    /// Feed-forward block.
    pub ffn: ModFfnSpec,
    /// Share of each entry of a code that noise may add or take away in training.
    pub code_noise: f64,
}

impl ReadInConfig {
    /// The read-in with these settings at `at`, from tokens of `token_dim`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(
        &self,
        at: &Surroundings<'_>,
        token_dim: usize,
    ) -> Result<ReadInSpec, ConfigError> {
        let around = at.with_drop_path(self.drop_path);
        let mixer = match self.kind {
            ReadInKind::Attention => {
                let path = join(at.path, "read_in_attention");
                let attention = self.attention.resolve(&around.at(&path), token_dim);
                let attention = attention.map_err(|error| error.within("attention"))?;
                InputMixerSpec::Attention(Box::new(attention))
            }
            ReadInKind::Projection => {
                let mod_fc = self.attention.mod_fc.as_ref().unwrap_or(at.mod_fc);
                let sizes = (positive("token_dim", token_dim)?, at.state_dim);
                let around = Surroundings { mod_fc, ..*at };
                let name = "read_in_projection";
                InputMixerSpec::Projection(ProjectionSpec::new(&around, name, sizes, true)?)
            }
        };
        Ok(ReadInSpec {
            path: at.path.to_owned(),
            mixer,
            ffn: self
                .ffn
                .resolve(&around.at(&join(at.path, "ffn")))
                .map_err(|error| error.within("ffn"))?,
            code_noise: code_noise(self.code_noise)?,
        })
    }
}

impl ReadInSpec {
    /// Features of a token.
    pub fn token_dim(&self) -> usize {
        match &self.mixer {
            InputMixerSpec::Attention(attention) => attention.sender_norm.dim,
            InputMixerSpec::Projection(projection) => projection.input,
        }
    }
}

impl Node for ReadInSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        "read-in".into()
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mixer: &dyn Node = match &self.mixer {
            InputMixerSpec::Attention(attention) => attention.as_ref(),
            InputMixerSpec::Projection(projection) => projection,
        };
        vec![mixer, &self.ffn]
    }
}

/// Modules attend to modules, then think about what they gathered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropagatorSpec {
    /// Path of the layers below; noise on codes draws from its `receiver_code_noise` and `sender_code_noise`.
    pub path: String,
    /// Path of the propagator whose tensors this one uses; `None` if it has its own.
    pub shares: Option<String>,
    /// Attention between modules.
    pub attention: SkmdpaSpec,
    /// Feed-forward block.
    pub ffn: ModFfnSpec,
    /// Share of each entry of a code that noise may add or take away in training.
    pub code_noise: f64,
}

impl PropagatorConfig {
    /// The propagator with these settings at `at`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(&self, at: &Surroundings<'_>) -> Result<PropagatorSpec, ConfigError> {
        self.resolve_as(at, AttentionRole::Propagator)
    }

    fn resolve_as(
        &self,
        at: &Surroundings<'_>,
        role: AttentionRole,
    ) -> Result<PropagatorSpec, ConfigError> {
        let around = at.with_drop_path(self.drop_path);
        let path = join(at.path, "latent_attention");
        Ok(PropagatorSpec {
            path: at.path.to_owned(),
            shares: None,
            attention: self
                .attention
                .resolve(&around.at(&path), role)
                .map_err(|error| error.within("attention"))?,
            ffn: self
                .ffn
                .resolve(&around.at(&join(at.path, "ffn")))
                .map_err(|error| error.within("ffn"))?,
            code_noise: code_noise(self.code_noise)?,
        })
    }
}

fn code_noise(share: f64) -> Result<f64, ConfigError> {
    let reason = "must be a finite number of at least 0";
    in_range(
        "code_noise",
        share,
        share.is_finite() && share >= 0.0,
        reason,
    )?;
    Ok(share)
}

impl Node for PropagatorSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        "propagator".into()
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.attention, &self.ffn]
    }

    fn shares(&self) -> Option<&str> {
        self.shares.as_deref()
    }
}

/// Projection of what the read-out gathered to the output dimension.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputProjectionSpec {
    /// Layer norm before it, if any.
    pub norm: Option<NormSpec>,
    /// The projection.
    pub projection: ProjectionSpec,
}

/// Read-out modules gather the result from the processors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadOutSpec {
    /// A propagator whose receivers are the read-out modules.
    pub propagator: PropagatorSpec,
    /// To the output dimension, if asked for.
    pub projection: Option<OutputProjectionSpec>,
    /// Features of what the read-out gives.
    pub output_dim: usize,
}

impl ReadOutConfig {
    /// The read-out with these settings at `at`; `outputs` is its width if it has a projection.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(
        &self,
        at: &Surroundings<'_>,
        outputs: usize,
    ) -> Result<ReadOutSpec, ConfigError> {
        let state = at.state_dim;
        let projection = if self.use_head {
            let mod_fc = self.attention.mod_fc.as_ref().unwrap_or(at.mod_fc);
            let around = Surroundings { mod_fc, ..*at };
            let norm = NormSpec::new(join(at.path, "head.0.module"), state);
            let sizes = (state, positive("outputs", outputs)?);
            Some(OutputProjectionSpec {
                norm: self.pre_output_layernorm.then_some(norm),
                projection: ProjectionSpec::new(&around, "head.1", sizes, true)?,
            })
        } else {
            None
        };
        Ok(ReadOutSpec {
            propagator: self.propagator().resolve_as(at, AttentionRole::ReadOut)?,
            output_dim: if projection.is_some() { outputs } else { state },
            projection,
        })
    }
}

impl Node for ReadOutSpec {
    fn path(&self) -> &str {
        &self.propagator.path
    }

    fn describe(&self) -> String {
        format!("read-out to {}", self.output_dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all = self.propagator.children();
        if let Some(output) = &self.projection {
            all.extend(output.norm.as_ref().map(|norm| norm as &dyn Node));
            all.push(&output.projection);
        }
        all
    }
}
