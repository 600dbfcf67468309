//! What each module reads from a text, and what that adds to its signature and code.
//!
//! A tokenizer, layers of self-attention over the text, and one attention of the modules to it, in which each module has
//! a learned query. Signature and code get `g ⊙ W LN(h)` added, where `h` is what the module has read, and the gate `g`
//! starts at zero. Source: ours; the paper's figure 1 shows what the generator reads and gives, its layers are not
//! published.

use nac_core::model::spec::{ConditionSpec, GatedSpec};
use tch::Tensor;

use crate::attention::{PlainLayer, Sources};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::layer::{LayerNorm, Linear};
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokenizer::{Tokenizer, tokenizer};
use crate::tokens::Tokens;

/// A linear layer without bias, then a gate for each feature. Parameters `linear.weight` and `gate`.
#[derive(Debug)]
struct Gated {
    linear: Linear,
    gate: Tensor,
}

impl Gated {
    fn new(scope: &mut Scope<'_>, spec: &GatedSpec) -> Result<Self> {
        let features = shape::positive("features", spec.linear.output)?;
        let linear = Linear::from_spec(scope, &spec.linear)?;
        let mut own = scope.sub(&spec.path);
        Ok(Self {
            linear,
            gate: own.parameter("gate", &[features], Init::Constant(0.0))?,
        })
    }

    /// # Shapes
    /// - read: `[texts, modules, dim]`
    /// - output: `[texts, modules, features]`
    fn forward(&self, read: &Tensor) -> Result<Tensor> {
        Ok(self.linear.forward(read)?.f_mul(&self.gate)?)
    }
}

/// What is added to the signatures and codes of all modules.
#[derive(Debug)]
pub(super) struct Added {
    /// `[batch, modules, signature]`.
    pub(super) signatures: Option<Tensor>,
    /// `[batch, modules, code]`.
    pub(super) codes: Option<Tensor>,
    /// Which of the different texts each example has, `[batch]`.
    pub(super) texts: Tensor,
}

/// Reads a text for all modules of a circuit.
pub(super) struct TextReader {
    input: String,
    tokenizer: Box<dyn Tokenizer>,
    embed: Linear,
    layers: Vec<PlainLayer>,
    queries: Tensor,
    read: PlainLayer,
    norm: LayerNorm,
    signatures: Option<Gated>,
    codes: Option<Gated>,
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader")
            .field("input", &self.input)
            .field("queries", &self.queries.size())
            .finish_non_exhaustive()
    }
}

impl TextReader {
    /// The reader of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub(super) fn new(scope: &mut Scope<'_>, spec: &ConditionSpec) -> Result<Self> {
        let size = [
            shape::positive("modules", spec.modules)?,
            shape::positive("dim", spec.norm.dim)?,
        ];
        let start = Init::Normal { std: 1.0 };
        let queries = scope.sub(&spec.path).parameter("queries", &size, start)?;
        let tokenizer = tokenizer(scope, &spec.input, &spec.tokenizer)?;
        let embed = Linear::from_spec(scope, &spec.embed)?;
        let layers = spec
            .layers
            .iter()
            .map(|layer| PlainLayer::new(scope, layer));
        let layers = layers.collect::<Result<_>>()?;
        let read = PlainLayer::new(scope, &spec.read)?;
        let norm = LayerNorm::from_spec(scope, &spec.norm)?;
        let mut gated = |spec: &Option<GatedSpec>| {
            let gated = spec.as_ref().map(|spec| Gated::new(scope, spec));
            gated.transpose()
        };
        Ok(Self {
            input: spec.input.clone(),
            tokenizer,
            embed,
            layers,
            queries,
            read,
            norm,
            signatures: gated(&spec.signatures)?,
            codes: gated(&spec.codes)?,
        })
    }

    /// What the texts of a batch add. Texts that are equal are read once.
    ///
    /// # Shapes
    /// - inputs: the text, `[batch, symbols]`
    /// - output: `[batch, modules, dim]` each
    ///
    /// # Errors
    /// The text is missing or has a wrong shape.
    pub(super) fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Added> {
        let texts = inputs.get(&self.input)?;
        let expected = [("batch", None), ("symbols", None)];
        shape::check("TextReader", &self.input, texts, &expected)?;
        let (different, index, _) = texts.f_unique_dim(0, true, true, false)?;
        let read = ctx.unrecorded(|ctx| self.read_each(different, ctx))?;
        let of_examples = |each: Tensor| -> Result<Tensor> { Ok(each.f_index_select(0, &index)?) };
        let add = |gated: &Option<Gated>| {
            let added = gated
                .as_ref()
                .map(|gated| of_examples(gated.forward(&read)?));
            added.transpose()
        };
        Ok::<_, ModuleError>(Added {
            signatures: add(&self.signatures)?,
            codes: add(&self.codes)?,
            texts: index,
        })
    }

    /// What modules read from each of some texts, `[texts, modules, dim]`, after the norm.
    fn read_each(&self, texts: Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let inputs = Inputs::new().with(self.input.as_str(), texts);
        let tokens = self.tokenizer.tokenize(&inputs, ctx)?;
        let mask = tokens.mask();
        let mut x = self.embed.forward(tokens.values())?;
        for layer in &self.layers {
            x = layer.run((&x, None), Sources::Own { mask }, ctx)?;
        }
        let text = match mask {
            Some(mask) => Tokens::masked(x, mask.shallow_clone())?,
            None => Tokens::new(x)?,
        };
        let count = text.values().size()[0];
        let queries = self
            .queries
            .f_unsqueeze(0)?
            .f_expand([count, -1, -1], false)?;
        let queries = (&queries, Some(&self.queries));
        let read = self.read.run(queries, Sources::Context(&text), ctx)?;
        self.norm.forward(&read)
    }
}
