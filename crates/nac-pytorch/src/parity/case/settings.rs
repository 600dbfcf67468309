//! Reading a configuration that has no import of its own: every key must be understood.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::{CaseError, CaseResult};

/// A JSON object of which each key is asked for at most once, and none may be left over.
pub(super) struct Settings<'a> {
    path: String,
    values: &'a Map<String, Value>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(values: &'a Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            values,
            asked: RefCell::default(),
        }
    }

    /// The value of a key; `null` is like absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// The object under a key, with paths below this one's.
    pub(super) fn object(&self, key: &str) -> CaseResult<Option<Settings<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Settings {
                path: format!("{}{key}.", self.path),
                values,
                asked: RefCell::default(),
            })),
            Some(other) => Err(self.refuse(key, other)),
        }
    }

    /// A number.
    pub(super) fn number(&self, key: &str) -> CaseResult<Option<f64>> {
        self.typed(key, Value::as_f64)
    }

    /// A count.
    pub(super) fn count(&self, key: &str) -> CaseResult<Option<usize>> {
        self.typed(key, |value| {
            value.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    /// A count that must be there.
    pub(super) fn required_count(&self, key: &str) -> CaseResult<usize> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    /// A switch.
    pub(super) fn flag(&self, key: &str) -> CaseResult<Option<bool>> {
        self.typed(key, Value::as_bool)
    }

    /// A word.
    pub(super) fn word(&self, key: &str) -> CaseResult<Option<&'a str>> {
        self.typed(key, Value::as_str)
    }

    fn typed<T>(&self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> CaseResult<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.refuse(key, value)),
        }
    }

    /// The error for a value that our layers do not know.
    pub(super) fn refuse(&self, key: &str, value: &Value) -> CaseError {
        CaseError::unsupported(&format!("{}{key}", self.path), value)
    }

    /// The error for a key that must be there.
    pub(super) fn missing(&self, key: &str) -> CaseError {
        CaseError::Broken(format!("the configuration lacks `{}{key}`", self.path))
    }

    /// Marks metadata that change nothing, such as a description.
    pub(super) fn ignore(&self, keys: &[&str]) {
        let mut asked = self.asked.borrow_mut();
        asked.extend(keys.iter().map(|&key| key.to_owned()));
    }

    /// An error if a key was never asked for.
    pub(super) fn finish(&self) -> CaseResult<()> {
        let asked = self.asked.borrow();
        match self.values.iter().find(|(key, _)| !asked.contains(*key)) {
            None => Ok(()),
            Some((key, value)) => Err(self.refuse(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_nobody_asked_for_are_unsupported_with_their_path() {
        let value: Value =
            serde_json::from_str(r#"{"hinge": 0.5, "kernel": {"truncation": "x"}, "clip": null}"#)
                .unwrap();
        let settings = Settings::new(value.as_object().unwrap());
        assert_eq!(settings.number("hinge").unwrap(), Some(0.5));
        assert_eq!(settings.number("clip").unwrap(), None);
        let CaseError::Unsupported(text) = settings.finish().unwrap_err() else {
            panic!("not unsupported");
        };
        assert_eq!(text, r#"kernel = {"truncation":"x"}"#);
        let kernel = settings.object("kernel").unwrap().unwrap();
        let CaseError::Unsupported(text) = kernel.number("truncation").unwrap_err() else {
            panic!("not unsupported");
        };
        assert_eq!(text, r#"kernel.truncation = "x""#);
        settings.finish().unwrap();
    }
}
