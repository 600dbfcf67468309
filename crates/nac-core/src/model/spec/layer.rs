//! Resolved layers that act on each module or token by itself.

use serde::Serialize;

use super::node::{Node, OwnTensor, join, trained};
use crate::model::{Activation, ConfigError, ModFcConfig, ModFfnConfig, ProjectionKind};

/// What a box takes over from the circuit around it.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Dotted path of the box; empty for the root of the parameter names.
    pub path: &'a str,
    /// Dimension of states.
    pub state_dim: usize,
    /// Dimension of codes.
    pub code_dim: usize,
    /// Settings of projections without settings.
    pub mod_fc: &'a ModFcConfig,
    /// Drop-path probability of branches that set none.
    pub drop_path: f64,
}

impl<'a> Surroundings<'a> {
    /// Around a box at the root of the parameter names, without drop-path.
    pub fn new(state_dim: usize, code_dim: usize, mod_fc: &'a ModFcConfig) -> Self {
        Self {
            path: "",
            state_dim,
            code_dim,
            mod_fc,
            drop_path: 0.0,
        }
    }

    /// The same around a box at `path`.
    pub(super) fn at(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    /// The same with another drop-path probability, if one is set.
    pub(super) fn with_drop_path(self, drop_path: Option<f64>) -> Self {
        Self {
            drop_path: drop_path.unwrap_or(self.drop_path),
            ..self
        }
    }
}

/// A linear layer, `y = x Wᵀ + b`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinearSpec {
    /// Path of `weight`, `[output, input]`, and `bias`, `[output]`.
    pub path: String,
    /// Input features.
    pub input: usize,
    /// Output features.
    pub output: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl LinearSpec {
    pub(super) fn new(path: String, input: usize, output: usize, bias: bool) -> Self {
        Self {
            path,
            input,
            output,
            bias,
        }
    }
}

impl Node for LinearSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("linear {} -> {}", self.input, self.output)
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let mut all = vec![trained("weight", &[self.output, self.input])];
        all.extend(self.bias.then(|| trained("bias", &[self.output])));
        all
    }
}

/// A layer norm with learned gain and bias over the last dimension.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NormSpec {
    /// Path of `weight` and `bias`, both `[dim]`.
    pub path: String,
    /// Normalised features.
    pub dim: usize,
}

impl NormSpec {
    pub(super) fn new(path: String, dim: usize) -> Self {
        Self { path, dim }
    }
}

impl Node for NormSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("layer norm {}", self.dim)
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![trained("weight", &[self.dim]), trained("bias", &[self.dim])]
    }
}

/// A projection inside modules, perhaps modulated by their codes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectionSpec {
    /// Path of the tensors, whose names depend on the kind.
    pub path: String,
    /// Input features.
    pub input: usize,
    /// Output features.
    pub output: usize,
    /// Dimension of codes.
    pub code: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// The settings in effect; those that its kind does not look at have their defaults.
    pub mod_fc: ModFcConfig,
}

impl ProjectionSpec {
    /// A projection from `dims.0` to `dims.1` features.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn new(
        at: &Surroundings<'_>,
        name: &str,
        (input, output): (usize, usize),
        bias: bool,
    ) -> Result<Self, ConfigError> {
        at.mod_fc.check().map_err(|error| error.within("mod_fc"))?;
        Ok(Self {
            path: join(at.path, name),
            input,
            output,
            code: at.code_dim,
            bias,
            mod_fc: at.mod_fc.effective(),
        })
    }
}

impl Node for ProjectionSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (kind, code) = match self.mod_fc.kind {
            ProjectionKind::ModFc => ("ModFC", format!(", code {}", self.code)),
            ProjectionKind::Fc => ("FC", String::new()),
            ProjectionKind::WModFc => ("WModFC", format!(", code {}", self.code)),
        };
        format!("{kind} {} -> {}{code}", self.input, self.output)
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let (weight, bias) = match self.mod_fc.kind {
            ProjectionKind::ModFc => ("native_weight", "native_bias"),
            ProjectionKind::Fc => ("lin.weight", "lin.bias"),
            ProjectionKind::WModFc => ("weight", "bias"),
        };
        let mut all = vec![trained(weight, &[self.output, self.input])];
        all.extend(self.bias.then(|| trained(bias, &[self.output])));
        match self.mod_fc.kind {
            ProjectionKind::ModFc => {
                all.push(trained("scale.weight", &[self.input, self.code]));
                let gain = self.mod_fc.learnable_scale_gain;
                all.extend(gain.then(|| trained("scale_gain", &[])));
            }
            ProjectionKind::Fc => {}
            ProjectionKind::WModFc => {
                all.push(trained("modulation.weight", &[self.input, self.code]));
                all.push(trained("modulation.bias", &[self.input]));
            }
        }
        all
    }
}

/// The end of a residual branch: layer scale, drop-path, addition to the states.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResidualSpec {
    /// Path of the branch; `layer_scale.gamma`, `[dim]`, is below it, and drop-path draws from its `drop_path`.
    pub path: String,
    /// Features of a state.
    pub dim: usize,
    /// Initial value of the learned scale of the branch; `None` if there is no scale.
    pub layer_scale: Option<f64>,
    /// Probability of dropping the branch in training, in `[0, 1)`.
    pub drop_path: f64,
    /// Whether the branch is added to the states; if not it replaces them.
    pub add: bool,
}

impl ResidualSpec {
    pub(super) fn new(
        at: &Surroundings<'_>,
        layer_scale: Option<f64>,
        add: bool,
    ) -> Result<Self, ConfigError> {
        in_range(
            "drop_path",
            at.drop_path,
            (0.0..1.0).contains(&at.drop_path),
            BELOW_ONE,
        )?;
        let scale = layer_scale.unwrap_or(0.0);
        in_range(
            "layer_scale",
            scale,
            scale.is_finite(),
            "must be a finite number",
        )?;
        Ok(Self {
            path: at.path.to_owned(),
            dim: at.state_dim,
            layer_scale,
            drop_path: at.drop_path,
            add,
        })
    }
}

impl Node for ResidualSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let scale = self.layer_scale.map(|_| "scaled ").unwrap_or_default();
        let end = if self.add { "residual" } else { "no residual" };
        format!("{scale}{end} {}", self.dim)
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let scale = self.layer_scale;
        scale
            .map(|_| trained("layer_scale.gamma", &[self.dim]))
            .into_iter()
            .collect()
    }
}

pub(super) const BELOW_ONE: &str = "must be at least 0 and below 1";

/// An error about setting `name` unless `fits`.
pub(super) fn in_range(
    name: &str,
    value: f64,
    fits: bool,
    reason: &str,
) -> Result<(), ConfigError> {
    if fits {
        return Ok(());
    }
    Err(ConfigError::Setting {
        name: name.into(),
        value: value.to_string(),
        reason: reason.into(),
    })
}

/// An error if size `name` is zero.
pub(super) fn positive(name: &str, size: usize) -> Result<usize, ConfigError> {
    in_range(name, 0.0, size > 0, "must be at least 1")?;
    Ok(size)
}

/// Feed-forward block of modules: norm, projection, activation, projection, residual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModFfnSpec {
    /// Path of `layernorm`, `ffn.0`, `ffn.2` and `layer_scale`.
    pub path: String,
    /// Path of the block whose tensors this one uses; `None` if it has its own.
    pub shares: Option<String>,
    /// Layer norm of the states.
    pub norm: NormSpec,
    /// To the hidden layer, twice as wide for GEGLU.
    pub expand: ProjectionSpec,
    /// Between the projections.
    pub activation: Activation,
    /// Features of the hidden layer after the activation.
    pub hidden: usize,
    /// Back to the states.
    pub contract: ProjectionSpec,
    /// End of the branch.
    pub residual: ResidualSpec,
}

impl ModFfnConfig {
    /// The block with these settings at `at`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(&self, at: &Surroundings<'_>) -> Result<ModFfnSpec, ConfigError> {
        let mod_fc = self.mod_fc.as_ref().unwrap_or(at.mod_fc);
        let at = Surroundings { mod_fc, ..*at };
        let state = positive("state_dim", at.state_dim)?;
        let hidden = self.hidden_dim(state)?;
        let wide = hidden * self.activation.width_factor();
        Ok(ModFfnSpec {
            path: at.path.to_owned(),
            shares: None,
            norm: NormSpec::new(join(at.path, "layernorm"), state),
            expand: ProjectionSpec::new(&at, "ffn.0", (state, wide), true)?,
            activation: self.activation,
            hidden,
            contract: ProjectionSpec::new(&at, "ffn.2", (hidden, state), true)?,
            residual: ResidualSpec::new(&at, self.layer_scale, self.residual)?,
        })
    }
}

impl Node for ModFfnSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (activation, hidden) = (self.activation, self.hidden);
        format!(
            "ModFFN {} -> {hidden} -> {0}, {activation:?}",
            self.norm.dim
        )
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.norm, &self.expand, &self.contract, &self.residual]
    }

    fn shares(&self) -> Option<&str> {
        self.shares.as_deref()
    }
}
