//! Reads a table of the reference's configuration and notices what nobody asked for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ReferenceError;

type Result<T> = std::result::Result<T, ReferenceError>;

/// One table of settings and its path. Every key must be read or declared without effect.
pub(super) struct Reader<'a> {
    path: String,
    table: Option<&'a Map<String, Value>>,
    known: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    /// The table `value`, which stands at `path`. `null` is an empty table, as in the reference.
    pub(super) fn new(path: &str, value: &'a Value) -> Result<Self> {
        let table = match value {
            Value::Object(table) => Some(table),
            Value::Null => None,
            other => {
                return Err(ReferenceError::Type {
                    path: path.to_owned(),
                    value: other.to_string(),
                    expected: "a table",
                });
            }
        };
        Ok(Self {
            path: path.to_owned(),
            table,
            known: BTreeSet::new(),
        })
    }

    /// Path of a key of this table.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Path of a key beside this table.
    pub(super) fn sibling(&self, key: &str) -> String {
        match self.path.rsplit_once('.') {
            Some((parent, _)) => format!("{parent}.{key}"),
            None => key.to_owned(),
        }
    }

    /// The value of `key`; `None` if it is absent.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.table.and_then(|table| table.get(key))
    }

    /// The table below `key`; an empty one if it is absent or `null`.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Reader<'a>> {
        const NULL: &Value = &Value::Null;
        Reader::new(&self.path(key), self.raw(key).unwrap_or(NULL))
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.raw(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(found) => Ok(Some(found)),
                None => Err(ReferenceError::Type {
                    path: self.path(key),
                    value: value.to_string(),
                    expected,
                }),
            },
        }
    }

    fn required<T>(&self, key: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| ReferenceError::Missing {
            path: self.path(key),
        })
    }

    /// A truth value.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool> {
        Ok(self.optional_flag(key)?.unwrap_or(default))
    }

    /// A truth value that may be absent.
    pub(super) fn optional_flag(&mut self, key: &'static str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A size that may be absent.
    pub(super) fn optional_size(&mut self, key: &'static str) -> Result<Option<usize>> {
        self.typed(key, "an integer", |v| {
            v.as_u64().and_then(|n| n.try_into().ok())
        })
    }

    /// A size.
    pub(super) fn size(&mut self, key: &'static str) -> Result<usize> {
        let value = self.optional_size(key)?;
        self.required(key, value)
    }

    /// A number that may be absent.
    pub(super) fn optional_number(&mut self, key: &'static str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A number.
    pub(super) fn number(&mut self, key: &'static str, default: f64) -> Result<f64> {
        Ok(self.optional_number(key)?.unwrap_or(default))
    }

    /// A number that may be `null`, which is another thing than absent.
    pub(super) fn nullable_number(
        &mut self,
        key: &'static str,
        default: Option<f64>,
    ) -> Result<Option<f64>> {
        let read = |v: &Value| match v {
            Value::Null => Some(None),
            number => number.as_f64().map(Some),
        };
        Ok(self
            .typed(key, "a number or null", read)?
            .unwrap_or(default))
    }

    /// A word that may be absent or `null`.
    pub(super) fn word(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        let read = |v: &'a Value| match v {
            Value::Null => Some(None),
            word => word.as_str().map(Some),
        };
        Ok(self.typed(key, "a word", read)?.flatten())
    }

    /// Declares keys that have no effect on what the model computes.
    pub(super) fn without_effect(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// An error about the value of `key`.
    pub(super) fn unsupported(&self, key: &str, value: &Value, reason: &str) -> ReferenceError {
        ReferenceError::Unsupported {
            path: self.path(key),
            value: value.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Accepts only the value under which `key` has no effect.
    pub(super) fn only(&mut self, key: &'static str, neutral: &Value, reason: &str) -> Result<()> {
        match self.raw(key) {
            Some(value) if value != neutral && !value.is_null() => {
                Err(self.unsupported(key, value, reason))
            }
            _ => Ok(()),
        }
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> Result<()> {
        let unknown = self
            .table
            .into_iter()
            .flatten()
            .find(|(key, _)| !self.known.contains(key.as_str()));
        match unknown {
            Some((key, value)) => {
                Err(self.unsupported(key, value, "an option this import does not know"))
            }
            None => Ok(()),
        }
    }
}
