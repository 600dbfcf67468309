//! Read-in: modules read the tokens, then compute (attention, then ModFFN).
//!
//! Instead of attending, modules may take one token each through a projection; states are then ignored.
//! Source: reference `block.py`, classes `AttentiveReadIn` and `ProjectionReadIn`.

use nac_core::model::spec::{InputMixerSpec, ReadInSpec};
use tch::Tensor;

use super::ModuleStates;
use super::code_noise::CodeNoise;
use crate::attention::ReadInAttention;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{ModFfn, Projection};
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
    /// The read-in of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ReadInSpec) -> Result<Self> {
        let mixer = match &spec.mixer {
            InputMixerSpec::Attention(attention) => {
                InputMixer::Attention(Box::new(ReadInAttention::new(scope, attention)?))
            }
            InputMixerSpec::Projection(projection) => {
                InputMixer::Projection(Projection::new(scope, projection)?)
            }
        };
        let mut own = scope.sub(&spec.path);
        let code_noise = CodeNoise::new(&mut own, "receiver_code_noise", spec.code_noise)?;
        Ok(Self {
            mixer,
            ffn: ModFfn::new(scope, &spec.ffn)?,
            code_noise,
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
