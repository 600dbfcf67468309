//! The names a pickle may use.

use tch::Kind;

/// A function or class on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::weights) enum Function {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.Size`
    Size,
    /// `torch.device`
    Device,
    /// `_codecs.encode`, how protocol 2 writes bytes
    Encode,
    /// `torch._utils._rebuild_tensor`, of old files
    RebuildOldTensor,
    /// `torch._utils._rebuild_parameter_with_state`: a parameter with attributes
    RebuildParameterWithState,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes
    RebuildFromType,
    /// `torch.Tensor` or `torch.nn.parameter.Parameter`, as the type of a tensor
    TensorType,
    /// `torch.serialization._get_layout`
    Layout,
    /// `set`
    Set,
    /// `complex`
    Complex,
    /// `bytearray`
    Bytearray,
    /// `collections.Counter`
    Counter,
    /// `torch.FloatStorage` and its like
    Storage(Kind),
}

impl Function {
    /// The function with this name, if it is on the list.
    pub(super) fn from_name(module: &str, name: &str) -> Option<Self> {
        let storage = |kind| Some(Self::Storage(kind));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildOldTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch._utils", "_rebuild_parameter_with_state") => {
                Some(Self::RebuildParameterWithState)
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Some(Self::RebuildFromType),
            ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => Some(Self::TensorType),
            ("torch.serialization", "_get_layout") => Some(Self::Layout),
            // Protocol 2 writes the names of Python 2.
            ("builtins" | "__builtin__", "set") => Some(Self::Set),
            ("builtins" | "__builtin__", "complex") => Some(Self::Complex),
            ("builtins" | "__builtin__", "bytearray") => Some(Self::Bytearray),
            ("collections", "Counter") => Some(Self::Counter),
            ("torch", "Size") => Some(Self::Size),
            ("torch", "device") => Some(Self::Device),
            ("_codecs", "encode") => Some(Self::Encode),
            ("torch", "DoubleStorage") => storage(Kind::Double),
            ("torch", "FloatStorage") => storage(Kind::Float),
            ("torch", "HalfStorage") => storage(Kind::Half),
            ("torch", "BFloat16Storage") => storage(Kind::BFloat16),
            ("torch", "LongStorage") => storage(Kind::Int64),
            ("torch", "IntStorage") => storage(Kind::Int),
            ("torch", "ShortStorage") => storage(Kind::Int16),
            ("torch", "CharStorage") => storage(Kind::Int8),
            ("torch", "ByteStorage") => storage(Kind::Uint8),
            ("torch", "BoolStorage") => storage(Kind::Bool),
            _ => None,
        }
    }

    /// Whether the name is that of a constant: an element type or a kind of quantization. Such a value is its name.
    pub(super) fn is_constant(module: &str, name: &str) -> bool {
        const TYPES: [&str; 11] = [
            "float",
            "bfloat",
            "int",
            "uint",
            "complex",
            "qint",
            "quint",
            "bits",
            "bool",
            "per_tensor",
            "per_channel",
        ];
        // What follows is a number of bits, or the name of a variant; a function of torch has neither.
        let variant = |rest: &str| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                || matches!(rest, "_affine" | "_symmetric" | "_affine_float_qparams")
        };
        module == "torch"
            && (name == "bool"
                || TYPES
                    .iter()
                    .filter_map(|start| name.strip_prefix(start))
                    .any(variant))
    }

    /// The name of the storage class of an element type; the reverse of [`Self::from_name`].
    pub(in crate::weights) fn storage_name(kind: Kind) -> Option<&'static str> {
        [
            "DoubleStorage",
            "FloatStorage",
            "HalfStorage",
            "BFloat16Storage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
        ]
        .into_iter()
        .find(|name| Self::from_name("torch", name) == Some(Self::Storage(kind)))
    }
}
