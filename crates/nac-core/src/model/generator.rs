//! Settings of the circuit generator.

use serde::{Deserialize, Serialize};

use super::{ConfigError, InputKind, InputSpec};

/// Where signatures and codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum GeneratorKind {
    /// They are free parameters, the same for all examples.
    #[default]
    Free,
    /// A text changes them, for each example by itself.
    Conditional,
}

/// Settings of the circuit generator.
///
/// The conditional generator reads one input, a sequence of symbols, which the circuit itself does not see. Its tokenizer
/// is that of the input (`model.tokenizers.<name>`, else the one for sequences); the other settings are the sizes of
/// what comes after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Where signatures and codes come from: `free` or `conditional`. Default `free`.
    pub kind: GeneratorKind,
    /// Name of the input that the conditional generator reads. Default: the only sequence among the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Whether the text changes signatures. Default true.
    pub signatures: bool,
    /// Whether the text changes codes, and with them initial states that come from codes. Default true.
    pub codes: bool,
    /// Features of a symbol of the text, and of the queries of modules. Default 128.
    pub dim: usize,
    /// Layers of self-attention over the text. Default 2.
    pub layers: usize,
    /// Heads of these, and of the attention of modules to the text. Default 4.
    pub heads: usize,
    /// Features per head. Default 32.
    pub head_dim: usize,
    /// Hidden width of the feed-forward blocks as a multiple of `dim`. Default 2.
    pub ffn_multiplier: usize,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            kind: GeneratorKind::Free,
            input: None,
            signatures: true,
            codes: true,
            dim: 128,
            layers: 2,
            heads: 4,
            head_dim: 32,
            ffn_multiplier: 2,
        }
    }
}

impl GeneratorConfig {
    /// The name of the input that the generator reads, and its form; `None` for a free generator.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if there is no such input, none is named and there is not exactly one sequence, it is no
    /// sequence, or nothing else is left for the circuit; or if the text changes nothing.
    pub fn condition<'a>(
        &self,
        inputs: &'a InputSpec,
    ) -> Result<Option<(&'a str, &'a InputKind)>, ConfigError> {
        if self.kind == GeneratorKind::Free {
            return Ok(None);
        }
        let refuse = |name: &str, value: String, reason: String| {
            Err(ConfigError::Setting {
                name: format!("generator.{name}"),
                value,
                reason,
            })
        };
        if !self.signatures && !self.codes {
            let reason = "the text must change `codes`, `signatures` or both".into();
            return refuse("codes", "false".into(), reason);
        }
        let is_text = |kind: &InputKind| matches!(kind, InputKind::Tokens { .. });
        let known: Vec<&str> = inputs.names().collect();
        let found = match &self.input {
            Some(name) => inputs.iter().find(|(known, _)| known == name),
            None => {
                let mut texts = inputs.iter().filter(|(_, kind)| is_text(kind));
                texts.next().filter(|_| texts.next().is_none())
            }
        };
        let named = self.input.clone().unwrap_or_else(|| "not set".into());
        match found {
            None => refuse(
                "input",
                named,
                format!("must be the sequence that the generator reads, of the inputs {known:?}"),
            ),
            Some((_, kind)) if !is_text(kind) => refuse(
                "input",
                named,
                format!("is of kind `{}`, not a sequence of symbols", kind.name()),
            ),
            Some(_) if inputs.len() < 2 => refuse(
                "input",
                named,
                "is the only input; the circuit needs another one to read".into(),
            ),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> InputKind {
        InputKind::Tokens {
            vocabulary: 7,
            max_len: 5,
            pad: 0,
        }
    }

    #[test]
    fn the_only_sequence_is_read_unless_one_is_named() {
        let image = InputSpec::image(3, 8, 8);
        let one = image.clone().with("question", text());
        let two = one.clone().with("title", text());
        let mut config = GeneratorConfig::default();
        assert_eq!(config.condition(&two).unwrap(), None);
        config.kind = GeneratorKind::Conditional;
        let read = |config: &GeneratorConfig, inputs: &InputSpec| {
            let found = config.condition(inputs);
            found.map(|found| found.map(|(name, _)| name.to_owned()))
        };
        assert_eq!(read(&config, &one).unwrap().as_deref(), Some("question"));
        let refused = |config: &GeneratorConfig, inputs: &InputSpec, part: &str| {
            let error = read(config, inputs).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(&config, &two, "generator.input = not set");
        refused(&config, &image, "generator.input = not set");
        refused(
            &config,
            &InputSpec::new("question", text()),
            "the only input",
        );
        config.input = Some("title".into());
        assert_eq!(read(&config, &two).unwrap().as_deref(), Some("title"));
        refused(&config, &one, "of the inputs [\"image\", \"question\"]");
        config.input = Some("image".into());
        refused(&config, &one, "is of kind `image`");
        config.input = None;
        (config.codes, config.signatures) = (false, false);
        refused(&config, &one, "must change");
    }
}
