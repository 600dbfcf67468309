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
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
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
