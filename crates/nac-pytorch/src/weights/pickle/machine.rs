//! The stack machine: protocols 2 to 5, the instructions that `torch.save` writes.

use std::collections::HashMap;

use super::call::{self, MOST_ARGUMENTS};
use super::cursor::Cursor;
use super::function::Function;
use super::{Pickle, PickleError, Value, push};

/// Most instructions of a pickle.
const MOST_INSTRUCTIONS: usize = 16_000_000;
/// Most containers open at once.
const MOST_MARKS: usize = 1000;

/// Reads a pickle: its value, and the containers it refers to.
///
/// # Errors
/// The bytes are damaged, or name what is not on the list.
pub(in crate::weights) fn load(bytes: &[u8]) -> Result<(Value, Pickle), PickleError> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        pickle: Pickle::default(),
    };
    for _ in 0..MOST_INSTRUCTIONS {
        if machine.step()? {
            return machine.finish();
        }
    }
    Err(machine
        .cursor
        .malformed(format!("more than {MOST_INSTRUCTIONS} instructions")))
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    pickle: Pickle,
}

impl Machine<'_> {
    fn finish(mut self) -> Result<(Value, Pickle), PickleError> {
        let value = self.pop()?;
        if !self.stack.is_empty() || self.cursor.remaining() > 0 {
            return Err(self.cursor.malformed("the pickle goes on after its end"));
        }
        Ok((value, self.pickle))
    }

    /// Carries out one instruction; true at the end.
    fn step(&mut self) -> Result<bool, PickleError> {
        let opcode = self.cursor.opcode()?;
        match opcode {
            b'.' => return Ok(true),
            0x80 => {
                let protocol = self.cursor.length::<1>()?;
                if protocol > 5 {
                    return Err(self
                        .cursor
                        .malformed(format!("protocol {protocol} is unknown")));
                }
            }
            0x95 => {
                // FRAME: how much to read ahead; the bound is checked anyway.
                self.cursor.length::<8>()?;
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.cursor.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => self.int::<1>()?,
            b'M' => self.int::<2>()?,
            0x8a => self.long::<1>()?,
            0x8b => self.long::<4>()?,
            b'G' => {
                let number = f64::from_be_bytes(self.cursor.array()?);
                self.stack.push(Value::Float(number));
            }
            b'X' => self.text::<4>()?,
            0x8c => self.text::<1>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.bytes::<1>()?,
            b'B' => self.bytes::<4>()?,
            0x8e | 0x96 => self.bytes::<8>()?,
            // A set is the list of its items; EMPTY_SET and ADDITEMS are of protocol 4.
            b']' | 0x8f => {
                let list = push(&mut self.pickle.lists, Vec::new());
                self.stack.push(Value::List(list));
            }
            b'}' => {
                let dict = push(&mut self.pickle.dicts, Vec::new());
                self.stack.push(Value::Dict(dict));
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let start = self.unmark()?;
                self.tuple(self.stack.len() - start)?;
            }
            b'(' => self.mark()?,
            b'a' => {
                let start = self.below(1)?;
                self.append(start)?;
            }
            b'e' | 0x90 => {
                let start = self.unmark()?;
                self.append(start)?;
            }
            b's' => {
                let start = self.below(2)?;
                self.set_items(start)?;
            }
            b'u' => {
                let start = self.unmark()?;
                self.set_items(start)?;
            }
            b'q' => self.put::<1>()?,
            b'r' => self.put::<4>()?,
            0x94 => {
                let top = self.top()?.clone();
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.get::<1>()?,
            b'j' => self.get::<4>()?,
            b'c' => {
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                self.global(module, name)?;
            }
            0x93 => self.stack_global()?,
            b'i' => {
                // INST names a class and calls it at once; no class is written like this.
                let (module, name) = (self.cursor.line()?, self.cursor.line()?);
                return Err(self.refused(module, name));
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                let storage = call::storage(&id, &mut self.pickle);
                let storage = storage.map_err(|reason| self.cursor.malformed(reason))?;
                self.stack.push(storage);
            }
            other => {
                let shown = char::from(other).escape_default();
                return Err(self.cursor.malformed(format!(
                    "instruction 0x{other:02x} ({shown}) is not one that torch.save writes for tensors and \
                     plain containers"
                )));
            }
        }
        Ok(false)
    }

    fn refused(&self, module: &str, name: &str) -> PickleError {
        PickleError::Refused {
            offset: self.cursor.opcode_at(),
            name: format!("{module}.{name}"),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        if Function::is_constant(module, name) {
            let constant = format!("{module}.{name}");
            self.stack.push(Value::Text(constant.into()));
            return Ok(());
        }
        let function = Function::from_name(module, name);
        let function = function.ok_or_else(|| self.refused(module, name))?;
        self.stack.push(Value::Function(function));
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::Text(module), Value::Text(name)) = (module, name) else {
            return Err(self.cursor.malformed("a name that is not a string"));
        };
        self.global(&module, &name)
    }

    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Function(function), Value::Tuple(arguments)) = (&function, &arguments) else {
            return Err(self.cursor.malformed(format!(
                "a call of {} with {}",
                function.describe(),
                arguments.describe()
            )));
        };
        let arguments = self.pickle.tuples[*arguments].as_slice();
        if arguments.len() > MOST_ARGUMENTS {
            let reason = format!("a call with {} arguments", arguments.len());
            return Err(self.cursor.malformed(reason));
        }
        let arguments = arguments.to_vec();
        let value = function.call(&arguments, &mut self.pickle);
        let value = value.map_err(|reason| self.cursor.malformed(reason))?;
        self.stack.push(value);
        Ok(())
    }

    /// BUILD sets attributes of an object. A `state_dict` carries `_metadata` (versions of its layers) like
    /// this; the attributes of a dict are not part of its content and are dropped.
    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        match (self.top()?, &state) {
            (Value::Dict(_), Value::Dict(_)) => Ok(()),
            (object, state) => Err(self.cursor.malformed(format!(
                "attributes of {} set from {}",
                object.describe(),
                state.describe()
            ))),
        }
    }

    fn int<const N: usize>(&mut self) -> Result<(), PickleError> {
        let number = self.cursor.length::<N>()?;
        self.stack.push(Value::Int(number.into()));
        Ok(())
    }

    fn long<const N: usize>(&mut self) -> Result<(), PickleError> {
        let count = self.cursor.length::<N>()?;
        let number = self.cursor.long(count)?;
        self.stack.push(Value::Int(number));
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<(), PickleError> {
        let count = self.cursor.length::<N>()?;
        let text = self.cursor.text(count)?;
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<(), PickleError> {
        let count = self.cursor.length::<N>()?;
        let bytes = self.cursor.take(count)?;
        self.stack.push(Value::Bytes(bytes.into()));
        Ok(())
    }

    fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() == MOST_MARKS {
            let reason = format!("containers nested more than {MOST_MARKS} deep");
            return Err(self.cursor.malformed(reason));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn unmark(&mut self) -> Result<usize, PickleError> {
        self.marks.pop().ok_or_else(|| {
            self.cursor
                .malformed("the end of a container that was not begun")
        })
    }

    /// Where the stack ends for this instruction: what lies below the last mark is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn below(&self, count: usize) -> Result<usize, PickleError> {
        let start = self.stack.len().checked_sub(count);
        start
            .filter(|&start| start >= self.floor())
            .ok_or_else(|| self.cursor.malformed("the stack has too few values"))
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        let start = self.below(1)?;
        let value = self.stack.drain(start..).next_back();
        value.ok_or_else(|| self.cursor.malformed("the stack is empty"))
    }

    fn top(&self) -> Result<&Value, PickleError> {
        Ok(&self.stack[self.below(1)?])
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let start = self.below(count)?;
        let items = self.stack.split_off(start);
        let tuple = push(&mut self.pickle.tuples, items);
        self.stack.push(Value::Tuple(tuple));
        Ok(())
    }

    fn append(&mut self, start: usize) -> Result<(), PickleError> {
        let items = self.stack.split_off(start);
        match *self.top()? {
            Value::List(list) => self.pickle.lists[list].extend(items),
            ref other => {
                let reason = format!("items appended to {}", other.describe());
                return Err(self.cursor.malformed(reason));
            }
        }
        Ok(())
    }

    fn set_items(&mut self, start: usize) -> Result<(), PickleError> {
        let items = self.stack.split_off(start);
        let Value::Dict(dict) = *self.top()? else {
            let reason = format!("items set in {}", self.top()?.describe());
            return Err(self.cursor.malformed(reason));
        };
        if items.len() % 2 == 1 {
            return Err(self.cursor.malformed("a key without a value"));
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.pickle.dicts[dict].push((key, value));
        }
        Ok(())
    }

    fn put<const N: usize>(&mut self) -> Result<(), PickleError> {
        let index = self.cursor.length::<N>()?;
        let top = self.top()?.clone();
        self.memo.insert(index, top);
        Ok(())
    }

    fn get<const N: usize>(&mut self) -> Result<(), PickleError> {
        let index = self.cursor.length::<N>()?;
        let value = self.memo.get(&index).cloned();
        let value = value.ok_or_else(|| {
            self.cursor
                .malformed(format!("nothing remembered as {index}"))
        })?;
        self.stack.push(value);
        Ok(())
    }
}
