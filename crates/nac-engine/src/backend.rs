//! The precision of matrix products, and the processor's vector instructions.

/// Number format of the operands of matrix products. States, layer norms, softmax and activations are always in single
/// precision.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Precision {
    /// Single precision: the same as in training, up to rounding.
    #[default]
    F32,
    /// Weights and the activations they multiply are rounded to bfloat16 (8 bits of fraction); sums are in single
    /// precision. Fast where the processor has AVX-512 BF16.
    Bf16,
    /// Weights of circuits are 8-bit integers with a scale for each output; the activations they multiply are 8-bit
    /// integers with a scale for each module, found for each input. Tokenizer, attention and head are as with
    /// [`Precision::Bf16`]. Fast where the processor has AVX-512 VNNI.
    Int8,
}

impl Precision {
    /// The precision of tokenizers, heads, and of keys, queries and values, which are never quantized to 8 bits.
    pub(crate) fn without_int8(self) -> Self {
        match self {
            Self::F32 => Self::F32,
            Self::Bf16 | Self::Int8 => Self::Bf16,
        }
    }
}

/// What every layer computes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) arch: pulp::Arch,
    pub(crate) precision: Precision,
}

impl Backend {
    pub(crate) fn new(precision: Precision) -> Self {
        Self {
            arch: pulp::Arch::new(),
            precision,
        }
    }
}
