//! The part of Python's pickle format that `torch.save` writes for tensors and plain containers, read
//! without executing anything.
//!
//! A pickle is a program for a stack machine, and Python's runs whatever function it names. This one knows
//! a fixed list of names ([`Function::from_name`]) and builds data for them; every other name is refused, with
//! the name and its place. Values beside weights are kept as far as they are shown: a set as the list of its items, an
//! element type or a complex number as text. Containers live in an arena and refer to each other by index, so that neither deep
//! nor recursive values can exhaust the call stack.
//!
//! Source: `Lib/pickletools.py` of CPython for the opcodes, `torch/serialization.py` for what is written.

mod call;
mod cursor;
mod function;
mod machine;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use tch::Kind;

pub(super) use function::Function;
pub(super) use machine::load;

/// Why a pickle is not read. Offsets count bytes from the start of the pickle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// It names a function or class that is not on the list.
    #[error(
        "byte {offset}: `{name}` is refused; only tensors and plain containers are read, and no code of a \
         file is ever run"
    )]
    Refused {
        /// Place of the instruction.
        offset: usize,
        /// Dotted name.
        name: String,
    },
    /// It is damaged, or uses an instruction that `torch.save` does not write for plain data.
    #[error("byte {offset}: {reason}")]
    Malformed {
        /// Place of the instruction.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
}

/// A value; containers are indices into [`Pickle`].
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Function(Function),
    Storage(usize),
    Tensor(usize),
}

impl Value {
    /// What it is, in words.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::Text(_) => "a str",
            Self::Bytes(_) => "bytes",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Function(_) => "a function",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

/// A run of elements in an entry `data/<key>` of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageRef {
    /// Type of an element.
    pub(super) kind: Kind,
    /// Name of the entry below `data/`.
    pub(super) key: Rc<str>,
    /// Elements.
    pub(super) count: u64,
}

/// A view of a storage: the element at index `i` lies at `offset + Σ i_d · stride_d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorRef {
    /// Index of the storage.
    pub(super) storage: usize,
    /// First element.
    pub(super) offset: u64,
    /// Size of each dimension.
    pub(super) shape: Vec<u64>,
    /// Elements between neighbours in each dimension.
    pub(super) stride: Vec<u64>,
}

/// Everything a pickle holds.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    pub(super) tuples: Vec<Vec<Value>>,
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<StorageRef>,
    pub(super) tensors: Vec<TensorRef>,
    /// Bytes decoded so far.
    encoded: usize,
}

/// Adds an item to one of the lists of a [`Pickle`] and gives its index.
pub(super) fn push<T>(items: &mut Vec<T>, item: T) -> usize {
    items.push(item);
    items.len() - 1
}
