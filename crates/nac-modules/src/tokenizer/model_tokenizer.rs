//! The tokenizer of a whole model: prepares its inputs, makes tokens of each, and joins them.

use nac_core::model::spec::{InputsSpec, TokenizedInputSpec, TokenizerSpec};
use nac_core::model::{InputSpec, ModelConfig};
use tch::{Kind, Tensor};

use super::prepare::Preparation;
use super::{
    ConvNextTokenizer, ConvSequenceTokenizer, ConvStemTokenizer, EmbeddingTokenizer,
    NgramTokenizer, PatchTokenizer, PixelTokenizer, RecurrentTokenizer, Tokenizer, VectorTokenizer,
};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::params::{Init, Scope};
use crate::tokens::Tokens;

/// Tokens of the inputs that an [`InputSpec`] names.
///
/// With one input, parameters are those of its tokenizer. With several, those of each are below its name, with a
/// `projection` to the greatest width among them where its own is another, and a `side_embedding`, `[token_dim]`, that
/// is added to its tokens. A tokenizer that several inputs share has its parameters below the name of the input that owns
/// it. Tokens follow each other in the order of names; masks do too.
pub struct ModelTokenizer {
    preparation: Preparation,
    parts: Vec<Part>,
    token_dim: usize,
}

/// One input.
struct Part {
    name: String,
    /// None if it is that of the part `owner`.
    tokenizer: Option<Box<dyn Tokenizer>>,
    owner: usize,
    join: Option<(Option<Linear>, Tensor)>,
}

impl std::fmt::Debug for ModelTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelTokenizer")
            .field("preparation", &self.preparation)
            .field("token_dim", &self.token_dim)
            .finish_non_exhaustive()
    }
}

impl ModelTokenizer {
    /// The tokenizers that settings choose for those of `inputs` that become tokens. All are checked and prepared.
    ///
    /// # Errors
    /// A setting is out of range or does not suit an input, or a name is taken.
    pub fn new(mut scope: Scope<'_>, config: &ModelConfig, inputs: &InputSpec) -> Result<Self> {
        let preparation = Preparation::new(inputs, scope.device())?;
        let InputsSpec {
            inputs, token_dim, ..
        } = config.resolve_inputs("", inputs)?;
        let mut parts = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let owner = input.shared_with.as_ref().unwrap_or(&input.name);
            let owner = inputs.iter().position(|input| input.name == *owner);
            parts.push(Part::new(&mut scope, input, owner.unwrap_or(parts.len()))?);
        }
        Ok(Self {
            preparation,
            parts,
            token_dim,
        })
    }
}

impl ModelTokenizer {
    /// The tokens of one input.
    fn tokens(&self, part: &Part, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        if let Some(tokenizer) = &part.tokenizer {
            return part.join(tokenizer.tokenize(inputs, ctx)?);
        }
        let owner = self.parts.get(part.owner);
        match owner.and_then(|owner| Some((&owner.name, owner.tokenizer.as_ref()?))) {
            Some((name, tokenizer)) => {
                let input = inputs.get(&part.name)?.shallow_clone();
                part.join(tokenizer.tokenize(&Inputs::new().with(name.as_str(), input), ctx)?)
            }
            None => unreachable!("resolving refuses a shared tokenizer that nobody owns"),
        }
    }
}

impl Part {
    /// The tokenizer of an input, and how its tokens join those of others.
    fn new(scope: &mut Scope<'_>, input: &TokenizedInputSpec, owner: usize) -> Result<Self> {
        let join = input.join.as_ref().map(|join| {
            let projection = join.projection.as_ref();
            let projection = projection.map(|layer| Linear::from_spec(scope, layer));
            let (start, size) = (Init::Normal { std: 0.02 }, [join.dim as i64]);
            let mut scope = scope.sub(&join.path);
            let side = scope.parameter("side_embedding", &size, start)?;
            Ok::<_, ModuleError>((projection.transpose()?, side))
        });
        let join = join.transpose()?;
        let is_own = input.shared_with.is_none();
        let own = || tokenizer(scope, &input.name, &input.tokenizer);
        Ok(Self {
            name: input.name.clone(),
            tokenizer: is_own.then(own).transpose()?,
            owner,
            join,
        })
    }

    /// The input's tokens, which its tokenizer made, as they join those of others.
    fn join(&self, tokens: Tokens) -> Result<Tokens> {
        let Some((projection, side)) = &self.join else {
            return Ok(tokens);
        };
        let values = match projection {
            Some(projection) => projection.forward(tokens.values())?,
            None => tokens.values().shallow_clone(),
        };
        let values = values.f_add(side)?;
        match tokens.mask() {
            Some(mask) => Tokens::masked(values, mask.shallow_clone()),
            None => Tokens::new(values),
        }
    }
}

/// The tokenizer `spec` of the input `name`.
///
/// # Errors
/// A setting is out of range, or a name is taken.
pub(crate) fn tokenizer(
    scope: &mut Scope<'_>,
    name: &str,
    spec: &TokenizerSpec,
) -> Result<Box<dyn Tokenizer>> {
    Ok(match spec {
        TokenizerSpec::ConvNext(spec) => {
            Box::new(ConvNextTokenizer::new(scope, spec)?.reading(name))
        }
        TokenizerSpec::ConvStem(spec) => {
            Box::new(ConvStemTokenizer::new(scope, spec)?.reading(name))
        }
        TokenizerSpec::Patches(spec) => Box::new(PatchTokenizer::new(scope, spec)?.reading(name)),
        TokenizerSpec::Pixels(spec) => Box::new(PixelTokenizer::new(spec)?.reading(name)),
        TokenizerSpec::Embedding(spec) => {
            Box::new(EmbeddingTokenizer::new(scope, spec)?.reading(name))
        }
        TokenizerSpec::ConvSequence(spec) => {
            Box::new(ConvSequenceTokenizer::new(scope, spec)?.reading(name))
        }
        TokenizerSpec::Ngrams(spec) => Box::new(NgramTokenizer::new(scope, spec)?.reading(name)),
        TokenizerSpec::Recurrent(spec) => {
            Box::new(RecurrentTokenizer::new(scope, spec)?.reading(name))
        }
        TokenizerSpec::Vectors(spec) => Box::new(VectorTokenizer::new(scope, spec)?.reading(name)),
    })
}

impl Tokenizer for ModelTokenizer {
    fn token_dim(&self) -> usize {
        self.token_dim
    }

    fn prepare(&self, inputs: &Inputs) -> Result<Inputs> {
        self.preparation.prepare(inputs)
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        if let [only] = self.parts.as_slice() {
            return self.tokens(only, inputs, ctx);
        }
        let parts = self.parts.iter().map(|part| self.tokens(part, inputs, ctx));
        let parts: Vec<Tokens> = parts.collect::<Result<_>>()?;
        let values: Vec<&Tensor> = parts.iter().map(Tokens::values).collect();
        let tokens = Tensor::f_cat(&values, 1)?;
        ctx.record("tokens", &tokens);
        if parts.iter().all(|part| part.mask().is_none()) {
            return Tokens::new(tokens);
        }
        let mask = |part: &Tokens| match part.mask() {
            Some(mask) => Ok(mask.shallow_clone()),
            None => {
                let size = part.values().size();
                Ok(Tensor::f_ones(
                    [size[0], size[1]],
                    (Kind::Bool, tokens.device()),
                )?)
            }
        };
        let masks = parts.iter().map(mask).collect::<Result<Vec<_>>>()?;
        let mask = Tensor::f_cat(&masks, 1)?;
        Tokens::masked(tokens, mask)
    }
}
