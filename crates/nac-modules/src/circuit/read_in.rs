//! Read-in: modules read the tokens, then compute (attention, then ModFFN).
//!
//! Instead of attending, modules may take one token each through a projection; states are then ignored.
//! Source: reference `block.py`, classes `AttentiveReadIn` and `ProjectionReadIn`.

use tch::Tensor;

use super::code_noise::CodeNoise;
use super::{ModuleStates, ReadInConfig, ReadInKind};
use crate::attention::ReadInAttention;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{DropPath, ModFcConfig, ModFfn, Projection};
use crate::params::Scope;
use crate::shape;
use crate::tokens::Tokens;

/// How tokens get to modules.
#[derive(Debug)]
enum InputMixer {
    Attention(Box<ReadInAttention>),
    Projection(Projection),
}

/// Read-in attention (or projection) and a ModFFN. Parameters under `read_in_attention` or
/// `read_in_projection`, and `ffn`.
#[derive(Debug)]
pub struct ReadIn {
    mixer: InputMixer,
    ffn: ModFfn,
    code_noise: CodeNoise,
}

impl ReadIn {
    /// A read-in from tokens of `token_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        token_dim: usize,
        state_dim: usize,
        code_dim: usize,
        config: &ReadInConfig,
        mod_fc: &ModFcConfig,
        drop_path: f64,
    ) -> Result<Self> {
        let path = scope.path().to_owned();
        let drop_path = config.drop_path.unwrap_or(drop_path);
        let mixer = match config.kind {
            ReadInKind::Attention => InputMixer::Attention(Box::new(ReadInAttention::new(
                scope.sub("read_in_attention"),
                token_dim,
                state_dim,
                code_dim,
                &config.attention,
                mod_fc,
                DropPath::new(format!("{path}.read_in_attention.drop_path"), drop_path)?,
            )?)),
            ReadInKind::Projection => InputMixer::Projection(Projection::new(
                scope.sub("read_in_projection"),
                token_dim,
                state_dim,
                code_dim,
                true,
                config.attention.mod_fc.as_ref().unwrap_or(mod_fc),
            )?),
        };
        let drop_path = DropPath::new(format!("{path}.ffn.drop_path"), drop_path)?;
        let ffn = ModFfn::new(
            scope.sub("ffn"),
            state_dim,
            code_dim,
            &config.ffn,
            mod_fc,
            drop_path,
        )?;
        let name = format!("{path}.receiver_code_noise");
        Ok(Self {
            mixer,
            ffn,
            code_noise: CodeNoise::new(name, config.code_noise)?,
        })
    }

    /// States of the modules after reading.
    ///
    /// # Shapes
    /// - modules: states `[batch, modules, state]`
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        modules: &ModuleStates<'_>,
        tokens: &Tokens,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let codes = self.code_noise.forward(modules.codes, ctx)?;
        let states = match &self.mixer {
            InputMixer::Attention(attention) => {
                let modules = ModuleStates {
                    codes: &codes,
                    ..*modules
                };
                attention.forward(&modules, tokens, ctx)?
            }
            InputMixer::Projection(projection) => {
                modules.check("ReadIn")?;
                let size = modules.states.size();
                let expected = [
                    ("batch", Some(size[0])),
                    ("tokens = modules", Some(size[1])),
                    ("token_dim", None),
                ];
                shape::check("ReadIn", "tokens", tokens.values(), &expected)?;
                projection.forward(tokens.values(), &codes, ctx)?
            }
        };
        self.ffn.forward(&states, &codes, ctx)
    }
}
