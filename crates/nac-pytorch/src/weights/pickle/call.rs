//! What stands for a call of each of the names that a pickle may use.

use std::rc::Rc;

use super::function::Function;
use super::{Pickle, StorageRef, TensorRef, Value, push};

/// Most dimensions of a tensor; libtorch has the same limit.
const MOST_DIMENSIONS: usize = 64;
/// Most bytes that may be made by decoding; a short pickle could repeat one string without end.
const MOST_ENCODED: usize = 64 << 20;
/// Most arguments of a call.
pub(super) const MOST_ARGUMENTS: usize = 8;

impl Function {
    /// What a call gives. Nothing is executed: the result is data.
    pub(super) fn call(self, arguments: &[Value], pickle: &mut Pickle) -> Result<Value, String> {
        match (self, arguments) {
            (Self::OrderedDict, []) => Ok(Value::Dict(push(&mut pickle.dicts, Vec::new()))),
            (Self::Counter, [counts @ Value::Dict(_)]) => Ok(counts.clone()),
            (Self::RebuildTensor, [Value::Storage(_), Value::Int(_), _, _, ..])
                if arguments.len() <= 7 =>
            {
                tensor(arguments, pickle)
            }
            (Self::RebuildOldTensor, [Value::Storage(_), Value::Int(_), _, _]) => {
                tensor(arguments, pickle)
            }
            (Self::RebuildParameter, [tensor @ Value::Tensor(_), Value::Bool(_), _])
            | (
                Self::RebuildParameterWithState,
                [tensor @ Value::Tensor(_), Value::Bool(_), _, _],
            ) => Ok(tensor.clone()),
            (
                Self::RebuildFromType,
                [
                    Value::Function(
                        function @ (Self::RebuildTensor
                        | Self::RebuildOldTensor
                        | Self::RebuildParameter),
                    ),
                    Value::Function(Self::TensorType),
                    Value::Tuple(inner),
                    _,
                ],
            ) => {
                let inner = pickle.tuples[*inner].clone();
                function.call(&inner, pickle)
            }
            (Self::Layout, [layout @ Value::Text(_)]) => Ok(layout.clone()),
            (Self::Set, []) => Ok(Value::List(push(&mut pickle.lists, Vec::new()))),
            (Self::Set, [items @ Value::List(_)]) => Ok(items.clone()),
            (Self::Complex, [Value::Float(real), Value::Float(imaginary)]) => {
                Ok(Value::Text(format!("{real}{imaginary:+}j").into()))
            }
            (Self::Bytearray, []) => Ok(Value::Bytes(Rc::from([]))),
            (Self::Bytearray, [bytes @ Value::Bytes(_)]) => Ok(bytes.clone()),
            (Self::Size, [size @ (Value::List(_) | Value::Tuple(_))]) => {
                let items = match size {
                    Value::Tuple(tuple) => &pickle.tuples[*tuple],
                    Value::List(list) => &pickle.lists[*list],
                    _ => return Err("a torch.Size of something else than a list".into()),
                };
                if items.len() > MOST_DIMENSIONS {
                    return Err(too_many_dimensions(items.len()));
                }
                let items = items.clone();
                Ok(Value::Tuple(push(&mut pickle.tuples, items)))
            }
            (Self::Device, [text @ Value::Text(_)]) => Ok(text.clone()),
            (Self::Device, [Value::Text(kind), Value::Int(index)]) if kind.len() <= 32 => {
                Ok(Value::Text(format!("{kind}:{index}").into()))
            }
            (Self::Encode | Self::Bytearray, [Value::Text(text), Value::Text(encoding)])
                if matches!(&**encoding, "latin1" | "latin-1") =>
            {
                latin1(text, pickle)
            }
            _ => Err(format!(
                "{self:?} is called with arguments that torch.save does not write"
            )),
        }
    }
}

/// A tensor from storage, offset, sizes and strides; what follows says how it was trained.
fn tensor(arguments: &[Value], pickle: &mut Pickle) -> Result<Value, String> {
    let [
        Value::Storage(storage),
        Value::Int(offset),
        shape,
        stride,
        ..,
    ] = arguments
    else {
        return Err("a tensor without a storage".into());
    };
    let tensor = TensorRef {
        storage: *storage,
        offset: u64::try_from(*offset).map_err(|_| "a negative storage offset")?,
        shape: sizes(shape, "size", pickle)?,
        stride: sizes(stride, "stride", pickle)?,
    };
    if tensor.shape.len() != tensor.stride.len() {
        return Err("a tensor has as many sizes as strides, here not".into());
    }
    Ok(Value::Tensor(push(&mut pickle.tensors, tensor)))
}

/// Bytes that are written as characters.
fn latin1(text: &str, pickle: &mut Pickle) -> Result<Value, String> {
    pickle.encoded += text.len();
    if pickle.encoded > MOST_ENCODED {
        return Err(format!(
            "more than {MOST_ENCODED} bytes in strings of bytes"
        ));
    }
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
    let bytes = bytes
        .collect::<Option<Rc<[u8]>>>()
        .ok_or("bytes outside of latin-1")?;
    Ok(Value::Bytes(bytes))
}

/// A storage from its persistent id `("storage", class, key, location, count)`.
pub(super) fn storage(id: &Value, pickle: &mut Pickle) -> Result<Value, String> {
    let items = match id {
        Value::Tuple(tuple) => pickle.tuples[*tuple].as_slice(),
        _ => &[],
    };
    let [
        Value::Text(what),
        Value::Function(Function::Storage(kind)),
        Value::Text(key),
        Value::Text(_location),
        Value::Int(count),
    ] = items
    else {
        return Err("a persistent id that is not that of a storage".into());
    };
    if &**what != "storage" {
        return Err(format!("a persistent id of kind {what:?}"));
    }
    let storage = StorageRef {
        kind: *kind,
        key: key.clone(),
        count: u64::try_from(*count).map_err(|_| "a storage with a negative size")?,
    };
    Ok(Value::Storage(push(&mut pickle.storages, storage)))
}

fn too_many_dimensions(found: usize) -> String {
    format!("a tensor of {found} dimensions, at most {MOST_DIMENSIONS} are possible")
}

fn sizes(value: &Value, what: &str, pickle: &Pickle) -> Result<Vec<u64>, String> {
    let Value::Tuple(tuple) = value else {
        return Err(format!("the {what} of a tensor is {}", value.describe()));
    };
    let items = &pickle.tuples[*tuple];
    if items.len() > MOST_DIMENSIONS {
        return Err(too_many_dimensions(items.len()));
    }
    let size = |item: &Value| match item {
        Value::Int(size) => i64::try_from(*size)
            .ok()
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| format!("a {what} of {size} in the shape of a tensor")),
        other => Err(format!(
            "{} in the {what} of a tensor, expected an int",
            other.describe()
        )),
    };
    items.iter().map(size).collect()
}
