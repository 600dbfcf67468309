//! Resolved inputs: a tokenizer for each, and how their tokens come together.

use serde::Serialize;

use super::layer::LinearSpec;
use super::node::{Node, OwnTensor, join, trained};
use super::tokenizer::TokenizerSpec;
use crate::model::{
    ConfigError, ImageTokenizer, InputKind, InputSpec, ModelConfig, ModelKind, SequenceTokenizer,
    TokenizerConfig,
};

/// How the tokens of one of several inputs join the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JoinSpec {
    /// Path of `side_embedding`, `[dim]`, which is added to every token of the input.
    pub path: String,
    /// To the common width, where the tokenizer's is another.
    pub projection: Option<LinearSpec>,
    /// The common width.
    pub dim: usize,
}

/// One input and its tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenizedInputSpec {
    /// Name of the input.
    pub name: String,
    /// Its form.
    pub kind: InputKind,
    /// Its tokenizer.
    pub tokenizer: TokenizerSpec,
    /// Name of the input whose tokenizer it is; `None` if it has its own.
    pub shared_with: Option<String>,
    /// Where there are several inputs, how their tokens join.
    pub join: Option<JoinSpec>,
}

/// From named inputs to tokens.
///
/// The tokenizer of an only input has the path of the whole, `input_tokenizer`; those of several are below it, each
/// under the name of its input. Tokens of several inputs are brought to the greatest width by linear layers, get the
/// vector of their input added, and follow each other in the order of names. A shared tokenizer has its parameters once,
/// under the name of the input that does not say `shared`; the linear layer to the greatest width and the added vector
/// are each input's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputsSpec {
    /// Path of the tokenizers.
    pub path: String,
    /// Inputs in the order of their names.
    pub inputs: Vec<TokenizedInputSpec>,
    /// Features of a token.
    pub token_dim: usize,
}

impl ModelConfig {
    /// Settings of the tokenizer of an input: those of `tokenizers.<name>`, else those for the kind.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the tokenizer named is for inputs of another kind.
    pub fn tokenizer(&self, name: &str, kind: &InputKind) -> Result<TokenizerConfig, ConfigError> {
        let config = match (self.tokenizers.get(name), kind) {
            (Some(config), _) => config.clone(),
            (None, InputKind::Image { .. }) => match self.image_tokenizer {
                ImageTokenizer::Convnext => TokenizerConfig::ConvNext(self.convnext.clone()),
                ImageTokenizer::Pixels => TokenizerConfig::Pixels {},
                ImageTokenizer::ConvStem => TokenizerConfig::ConvStem(self.conv_stem.clone()),
                ImageTokenizer::Patches => TokenizerConfig::Patches(self.patches.clone()),
            },
            (None, InputKind::Tokens { .. }) => match self.sequence_tokenizer {
                SequenceTokenizer::Embedding => TokenizerConfig::Embedding(self.embedding.clone()),
                SequenceTokenizer::ConvSequence => {
                    TokenizerConfig::ConvSequence(self.conv_sequence.clone())
                }
                SequenceTokenizer::Ngrams => TokenizerConfig::Ngrams(self.ngrams.clone()),
                SequenceTokenizer::Recurrent => TokenizerConfig::Recurrent(self.recurrent.clone()),
            },
            (None, InputKind::Features { .. }) => TokenizerConfig::Features(self.features.clone()),
            (None, InputKind::Points { .. }) => TokenizerConfig::Points(self.points.clone()),
            (None, InputKind::Voxels { .. }) => TokenizerConfig::Voxels(self.voxels.clone()),
        };
        if config.reads(kind) {
            return Ok(config);
        }
        Err(ConfigError::Setting {
            name: format!("model.tokenizers.{name}.kind"),
            value: config.name().into(),
            reason: format!("does not read inputs of kind `{}`", kind.name()),
        })
    }

    /// The input whose tokenizer reads the input `name`, and the settings of that tokenizer.
    fn owner<'a>(
        &'a self,
        name: &'a str,
        kind: &InputKind,
        inputs: &InputSpec,
    ) -> Result<(&'a str, TokenizerConfig), ConfigError> {
        let Some(TokenizerConfig::Shared { with }) = self.tokenizers.get(name) else {
            return Ok((name, self.tokenizer(name, kind)?));
        };
        let refuse = |reason: &str| {
            Err(ConfigError::Setting {
                name: format!("model.tokenizers.{name}.with"),
                value: with.to_owned(),
                reason: reason.to_owned(),
            })
        };
        let Some(other) = inputs.get(with) else {
            return refuse("there is no such input");
        };
        let config = self.tokenizer(with, other)?;
        if matches!(config, TokenizerConfig::Shared { .. }) {
            return refuse("must name an input with a tokenizer of its own");
        }
        let spec = |kind: &InputKind| TokenizerSpec::new("", &config, kind).ok();
        if spec(kind) != spec(other) {
            return refuse("the inputs differ in kind or size");
        }
        Ok((with, config))
    }

    /// The inputs that become tokens: all but those that are not used, and the text that the generator of a circuit reads.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if there is no input of a name, or none is left.
    pub fn executor_inputs(&self, inputs: &InputSpec) -> Result<InputSpec, ConfigError> {
        let known: Vec<&str> = inputs.names().collect();
        let unused = self.unused_inputs.iter();
        let mut left_out: Vec<&str> = unused.map(String::as_str).collect();
        let refuse = |name: &str, reason: String| {
            Err(ConfigError::Setting {
                name: "unused_inputs".into(),
                value: name.into(),
                reason,
            })
        };
        if let Some(name) = left_out.iter().find(|name| !known.contains(name)) {
            return refuse(name, format!("there is no such input, only {known:?}"));
        }
        if self.kind == ModelKind::Nac {
            let condition = self.generator.condition(inputs)?;
            if let Some((name, _)) = condition.filter(|(name, _)| left_out.contains(name)) {
                return refuse(name, "the generator reads it".into());
            }
            left_out.extend(condition.map(|(name, _)| name));
        }
        let mut rest = inputs.iter().filter(|(name, _)| !left_out.contains(name));
        let Some((name, kind)) = rest.next() else {
            return refuse(&left_out.join(", "), "no input is left to read".into());
        };
        let first = InputSpec::new(name, kind.clone());
        Ok(rest.fold(first, |inputs, (name, kind)| {
            inputs.with(name, kind.clone())
        }))
    }

    /// The tokenizers of those of `inputs` that become tokens, at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range or does not suit its input, or is for an input that
    /// there is not.
    pub fn resolve_inputs(
        &self,
        path: &str,
        inputs: &InputSpec,
    ) -> Result<InputsSpec, ConfigError> {
        inputs.check()?;
        let all = inputs;
        let inputs = &self.executor_inputs(all)?;
        if let Some(name) = self.tokenizers.keys().find(|name| all.get(name).is_none()) {
            let known: Vec<&str> = inputs.names().collect();
            return Err(ConfigError::Setting {
                name: format!("model.tokenizers.{name}"),
                value: "a tokenizer".into(),
                reason: format!("there is no such input, only {known:?}"),
            });
        }
        let several = inputs.len() > 1;
        let mut all = Vec::with_capacity(inputs.len());
        for (name, kind) in inputs.iter() {
            let (owner, config) = self.owner(name, kind, inputs)?;
            let path = if several {
                join(path, owner)
            } else {
                path.to_owned()
            };
            all.push(TokenizedInputSpec {
                name: name.to_owned(),
                kind: kind.clone(),
                tokenizer: TokenizerSpec::new(&path, &config, kind)?,
                shared_with: (owner != name).then(|| owner.to_owned()),
                join: None,
            });
        }
        let widths = all.iter().map(|input| input.tokenizer.token_dim());
        let token_dim = widths.max().unwrap_or(0);
        for input in all.iter_mut().filter(|_| several) {
            let (path, width) = (join(path, &input.name), input.tokenizer.token_dim());
            let projection = LinearSpec::new(join(&path, "projection"), width, token_dim, true);
            input.join = Some(JoinSpec {
                projection: (width != token_dim).then_some(projection),
                dim: token_dim,
                path,
            });
        }
        Ok(InputsSpec {
            path: path.to_owned(),
            inputs: all,
            token_dim,
        })
    }
}

impl InputsSpec {
    /// Number of tokens of inputs of the sizes that the model is made for, the longest if that varies.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.inputs
            .iter()
            .map(|input| input.tokenizer.tokens())
            .sum()
    }

    /// The tokenizer, if there is one input.
    #[must_use]
    pub fn single(&self) -> Option<&TokenizerSpec> {
        match self.inputs.as_slice() {
            [input] => Some(&input.tokenizer),
            _ => None,
        }
    }
}

impl Node for JoinSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("side embedding of {}", self.dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let projection = self.projection.iter();
        projection.map(|layer| layer as &dyn Node).collect()
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![trained("side_embedding", &[self.dim])]
    }
}

impl Node for InputsSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        match self.single() {
            Some(tokenizer) => tokenizer.describe(),
            None => format!("{} inputs, tokens of {}", self.inputs.len(), self.token_dim),
        }
    }

    fn children(&self) -> Vec<&dyn Node> {
        if let Some(tokenizer) = self.single() {
            return tokenizer.children();
        }
        let mut all: Vec<&dyn Node> = Vec::new();
        for input in &self.inputs {
            if input.shared_with.is_none() {
                all.push(&input.tokenizer);
            }
            all.extend(input.join.as_ref().map(|join| join as &dyn Node));
        }
        all
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        self.single().map_or_else(Vec::new, Node::tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> InputSpec {
        InputSpec::image(3, 8, 8).with("question", question())
    }

    fn question() -> InputKind {
        InputKind::Tokens {
            vocabulary: 7,
            max_len: 5,
            pad: 0,
        }
    }

    fn config(text: &str) -> ModelConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn several_inputs_meet_at_the_greatest_width() {
        let text =
            "[tokenizers.image]\nkind = \"pixels\"\n[embedding]\ndim = 6\nposition_dim = 3\n";
        let spec = config(text)
            .resolve_inputs("input_tokenizer", &two())
            .unwrap();
        assert_eq!((spec.token_dim, spec.tokens()), (9, 69));
        let names: Vec<String> = spec.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            [
                "input_tokenizer.image.side_embedding",
                "input_tokenizer.image.projection.weight",
                "input_tokenizer.image.projection.bias",
                "input_tokenizer.question.embedding.weight",
                "input_tokenizer.question.positions",
                "input_tokenizer.question.side_embedding",
            ]
        );
        let alone = config(text).resolve_inputs("input_tokenizer", &InputSpec::image(3, 8, 8));
        let alone = alone.unwrap();
        assert_eq!((alone.token_dim, alone.parameters().len()), (3, 0));
    }

    #[test]
    fn a_shared_tokenizer_has_its_parameters_once() {
        let image = || InputKind::image(1, 8, 8);
        let pair = InputSpec::new("left", image()).with("right", image());
        let shared = |with: &str| {
            let left = format!("[tokenizers.left]\nkind = \"shared\"\nwith = \"{with}\"\n");
            config(&format!("image_tokenizer = \"patches\"\n{left}"))
        };
        let spec = shared("right").resolve_inputs("in", &pair).unwrap();
        let names: Vec<String> = spec.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            [
                "in.left.side_embedding",
                "in.right.positions",
                "in.right.linear.weight",
                "in.right.linear.bias",
                "in.right.side_embedding",
            ]
        );
        assert_eq!(spec.inputs[0].tokenizer, spec.inputs[1].tokenizer);
        let other = InputSpec::new("left", image()).with("right", InputKind::image(1, 8, 7));
        let mixed = InputSpec::new("left", image()).with("right", question());
        for (with, inputs, part) in [
            ("left", &pair, "of its own"),
            ("centre", &pair, "no such input"),
            ("right", &other, "differ in kind or size"),
            ("right", &mixed, "differ in kind or size"),
        ] {
            let error = shared(with).resolve_inputs("in", inputs).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("tokenizers.left.with") && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn settings_of_other_inputs_are_refused() {
        for (text, part) in [
            (
                "[tokenizers.photo]\nkind = \"pixels\"\n",
                "model.tokenizers.photo",
            ),
            (
                "[tokenizers.question]\nkind = \"pixels\"\n",
                "does not read inputs of kind `tokens`",
            ),
            ("[embedding]\ndim = 0\n", "dim"),
        ] {
            let error = config(text).resolve_inputs("", &two()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let unknown = "[tokenizers.image]\nkind = \"convnext\"\ndepth = [1]\n";
        let error = toml::from_str::<ModelConfig>(unknown).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `depth`"),
            "{error}"
        );
    }
}
