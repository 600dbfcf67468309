//! Settings of a model, as they stand in a TOML file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CircuitConfig, ConvNextConfig, ConvSequenceConfig, ConvStemConfig, EmbeddingConfig,
    FeaturesConfig, GeneratorConfig, NgramsConfig, PatchesConfig, PerceiverIoConfig, PointsConfig,
    RecurrentConfig, StemOnlyConfig, TokenizerConfig, VoxelsConfig,
};

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ModelKind {
    /// A Neural Attentive Circuit.
    #[default]
    Nac,
    /// The Perceiver IO baseline.
    PerceiverIo,
    /// The baseline without a body: mean of the tokens, linear head.
    StemOnly,
}

/// How images become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageTokenizer {
    /// The first stages of a ConvNeXt.
    #[default]
    Convnext,
    /// Each pixel is a token.
    Pixels,
    /// Square patches through a linear layer.
    Patches,
    /// 3×3 convolutions.
    ConvStem,
}

/// How sequences of symbols become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SequenceTokenizer {
    /// A learned vector per symbol, each a token.
    #[default]
    Embedding,
    /// Strided convolutions.
    ConvSequence,
    /// Hashed n-grams, pooled over windows.
    Ngrams,
    /// Gated linear recurrences.
    Recurrent,
}

/// Settings of the model. Only the tables that its kind and its input need are used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model. Default `nac`.
    pub kind: ModelKind,
    /// How images become tokens: `convnext`, `conv-stem`, `patches` or `pixels`. Default `convnext`.
    pub image_tokenizer: ImageTokenizer,
    /// Tokenizer of image inputs, for `convnext`.
    pub convnext: ConvNextConfig,
    /// Tokenizer of image inputs, for `conv-stem`.
    pub conv_stem: ConvStemConfig,
    /// Tokenizer of image inputs, for `patches`.
    pub patches: PatchesConfig,
    /// Tokenizer of voxels.
    pub voxels: VoxelsConfig,
    /// How sequences become tokens: `embedding`, `conv-sequence`, `ngrams` or `recurrent`. Default `embedding`.
    pub sequence_tokenizer: SequenceTokenizer,
    /// Tokenizer of sequence inputs, for `embedding`.
    pub embedding: EmbeddingConfig,
    /// Tokenizer of sequence inputs, for `conv-sequence`.
    pub conv_sequence: ConvSequenceConfig,
    /// Tokenizer of sequence inputs, for `ngrams`.
    pub ngrams: NgramsConfig,
    /// Tokenizer of sequence inputs, for `recurrent`.
    pub recurrent: RecurrentConfig,
    /// Tokenizer of feature vectors.
    pub features: FeaturesConfig,
    /// Tokenizer of points.
    pub points: PointsConfig,
    /// Tokenizers of inputs by their names, for inputs that want another than their kind has. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tokenizers: BTreeMap<String, TokenizerConfig>,
    /// Inputs of the data that the model does not read, for comparisons. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused_inputs: Vec<String>,
    /// Where the signatures and codes of the circuit come from, for kind `nac`.
    pub generator: GeneratorConfig,
    /// The circuit, for kind `nac`.
    pub circuit: CircuitConfig,
    /// The baseline, for kind `perceiver-io`.
    pub perceiver_io: PerceiverIoConfig,
    /// The baseline without a body, for kind `stem-only`.
    pub stem_only: StemOnlyConfig,
}
