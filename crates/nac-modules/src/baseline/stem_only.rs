//! Stem only: the mean of the tokens and a linear head, to see what a tokenizer does by itself.

use nac_core::model::StemOnlyConfig;
use nac_core::model::spec::StemOnlySpec;
use tch::{Kind, Tensor};

use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::{LayerNorm, Linear};
use crate::model::{Model, ModelOutput};
use crate::params::{ParamStore, Scope};
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;

/// Mean of the tokens that are not padding, perhaps a layer norm, linear head.
///
/// Parameters under `tokenizer`, `norm` and `to_logits`.
pub struct StemOnly {
    store: ParamStore,
    tokenizer: Box<dyn Tokenizer>,
    norm: Option<LayerNorm>,
    to_logits: Linear,
}

impl std::fmt::Debug for StemOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StemOnly")
            .field("parameters", &self.store.parameter_count())
            .finish_non_exhaustive()
    }
}

impl StemOnly {
    /// Builds the model in `store`; `tokenizer` builds the tokenizer in the scope it is given.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut store: ParamStore,
        config: &StemOnlyConfig,
        outputs: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        let tokenizer = tokenizer(store.root().sub("tokenizer"))?;
        let StemOnlySpec { norm, to_logits } = config.resolve(tokenizer.token_dim(), outputs)?;
        let mut root = store.root();
        let norm = norm.map(|norm| LayerNorm::from_spec(&mut root, &norm));
        let (norm, to_logits) = (norm.transpose()?, Linear::from_spec(&mut root, &to_logits)?);
        Ok(Self {
            store,
            tokenizer,
            norm,
            to_logits,
        })
    }
}

/// Mean of the tokens that are not padding; zero if all are.
///
/// # Shapes
/// - tokens: `[batch, tokens, dim]`
/// - output: `[batch, dim]`
///
/// # Errors
/// libtorch fails.
pub fn mean_of_tokens(tokens: &Tokens) -> Result<Tensor> {
    let values = tokens.values();
    let Some(mask) = tokens.mask() else {
        return Ok(values.f_mean_dim(1_i64, false, None::<Kind>)?);
    };
    let real = mask.f_unsqueeze(-1)?;
    // A product would keep what is not a number.
    let values = values.f_masked_fill(&real.f_logical_not()?, 0.0)?;
    let count = real.f_sum_dim_intlist(1_i64, false, values.kind())?;
    let sum = values.f_sum_dim_intlist(1_i64, false, None::<Kind>)?;
    Ok(sum.f_div(&count.f_clamp_min(1.0)?)?)
}

impl Model for StemOnly {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let inputs = &self.tokenizer.prepare(inputs)?;
        let tokens = self.tokenizer.tokenize(inputs, ctx)?;
        let mut mean = mean_of_tokens(&tokens)?;
        if let Some(norm) = &self.norm {
            mean = norm.forward(&mean)?;
        }
        let logits = self.to_logits.forward(&mean)?;
        Ok(ModelOutput {
            intermediates: ctx.take_intermediates(),
            ..ModelOutput::new(logits)
        })
    }

    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_left_out_whatever_it_holds() {
        let values = Tensor::from_slice(&[1.0_f32, 3.0, f32::NAN, 5.0]).view([2, 2, 1]);
        let mask = Tensor::from_slice(&[true, true, false, true]).view([2, 2]);
        let mean = mean_of_tokens(&Tokens::masked(values.shallow_clone(), mask).unwrap()).unwrap();
        assert_eq!(mean.size(), [2, 1]);
        assert_eq!(
            Vec::<f32>::try_from(mean.flatten(0, -1)).unwrap(),
            [2.0, 5.0]
        );
        let none = Tokens::masked(values, Tensor::from_slice(&[false; 4]).view([2, 2])).unwrap();
        let zero = mean_of_tokens(&none).unwrap();
        assert_eq!(
            Vec::<f32>::try_from(zero.flatten(0, -1)).unwrap(),
            [0.0, 0.0]
        );
    }
}
