//! Where the named tensors are in the value of a file.
//!
//! Training scripts save `{"model": state_dict, "epoch": 3, …}` in many forms. A *part* is a dictionary whose
//! values are all tensors; its key is the path to it, joined by dots, and empty for the whole file.

use std::collections::BTreeMap;

use crate::weights::pickle::{Pickle, Value};

/// Dictionaries within dictionaries that are looked through.
const MOST_DEPTH: usize = 8;
/// Values that are looked at: one value may stand in a file very often.
const MOST_VISITED: usize = 100_000;
/// Bytes of names that are copied: one long name may stand in a file very often.
const MOST_TEXT: usize = 64 << 20;
/// Values beside the tensors that are shown, and characters of each.
const MOST_NOTES: usize = 1000;

/// A dictionary of named tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct Part {
    /// Path to it.
    pub(in crate::weights) key: String,
    /// Names, and indices of tensors in the pickle.
    pub(in crate::weights) tensors: Vec<(String, usize)>,
}

/// All parts of a value, the outermost first.
///
/// # Errors
/// A description of what there is instead.
pub(super) fn parts(value: &Value, pickle: &Pickle) -> Result<Vec<Part>, String> {
    let Value::Dict(root) = value else {
        return Err(format!(
            "holds {}, expected a state_dict or a dictionary with one in it",
            value.describe()
        ));
    };
    let mut search = Search {
        pickle,
        visited: 0,
        text: 0,
        found: Vec::new(),
    };
    search.visit(*root, String::new(), 0);
    if search.found.is_empty() {
        if search.visited > MOST_VISITED || search.text > MOST_TEXT {
            return Err("holds more named values than are looked through".into());
        }
        let other = pickle.dicts[*root]
            .iter()
            .find(|(_, value)| !matches!(value, Value::Tensor(_)));
        return Err(match other {
            Some((key, value)) => format!(
                "no dictionary in it holds nothing but named tensors; {} is {}",
                shown(key),
                value.describe()
            ),
            None => "holds no tensors".into(),
        });
    }
    Ok(search.found)
}

struct Search<'a> {
    pickle: &'a Pickle,
    visited: usize,
    text: usize,
    found: Vec<Part>,
}

impl Search<'_> {
    fn visit(&mut self, dict: usize, path: String, depth: usize) {
        let items = &self.pickle.dicts[dict];
        let names = items.iter().map(|(key, _)| match key {
            Value::Text(name) => name.len().saturating_add(path.len()),
            _ => 0,
        });
        self.visited += items.len();
        self.text = names.fold(self.text, usize::saturating_add);
        if self.visited > MOST_VISITED || self.text > MOST_TEXT || depth > MOST_DEPTH {
            return;
        }
        let tensors: Option<BTreeMap<String, usize>> = items
            .iter()
            .map(|item| match item {
                (Value::Text(name), Value::Tensor(tensor)) => Some((name.to_string(), *tensor)),
                _ => None,
            })
            .collect();
        if let Some(tensors) = tensors.filter(|tensors| !tensors.is_empty()) {
            self.found.push(Part {
                key: path,
                tensors: tensors.into_iter().collect(),
            });
            return;
        }
        for (key, value) in items {
            if let (Value::Text(key), Value::Dict(inner)) = (key, value) {
                let path = if path.is_empty() {
                    key.to_string()
                } else {
                    format!("{path}.{key}")
                };
                self.visit(*inner, path, depth + 1);
            }
        }
    }
}

/// What stands beside the parts at the top of a file, as text.
pub(super) fn notes(value: &Value, pickle: &Pickle) -> BTreeMap<String, String> {
    let Value::Dict(root) = value else {
        return BTreeMap::new();
    };
    let note = |(key, value): &(Value, Value)| {
        let Value::Text(key) = key else { return None };
        Some((shortened(key), shown_plain(value)?))
    };
    let notes = pickle.dicts[*root].iter().filter_map(note);
    notes.take(MOST_NOTES).collect()
}

fn shown(key: &Value) -> String {
    match key {
        Value::Text(text) => format!("`{}`", shortened(text)),
        other => shown_plain(other).unwrap_or_else(|| other.describe().to_owned()),
    }
}

fn shown_plain(value: &Value) -> Option<String> {
    Some(match value {
        Value::None => "None".into(),
        Value::Bool(value) => if *value { "True" } else { "False" }.into(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => shortened(text),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        _ => return None,
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_NOTES) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pickle with one tensor, and a value for each list of items: `None` is the tensor, a number an earlier
    /// dictionary.
    fn nested(dicts: &[Vec<(&str, Option<usize>)>]) -> Pickle {
        let value = |inner: &Option<usize>| inner.map_or(Value::Tensor(0), Value::Dict);
        let dicts = dicts.iter().map(|items| {
            let item =
                |(key, inner): &(&str, Option<usize>)| (Value::Text((*key).into()), value(inner));
            items.iter().map(item).collect()
        });
        let mut pickle = Pickle::default();
        pickle.dicts.extend(dicts);
        pickle
    }

    fn keys(root: usize, pickle: &Pickle) -> Result<Vec<String>, String> {
        let parts = parts(&Value::Dict(root), pickle)?;
        Ok(parts.into_iter().map(|part| part.key).collect())
    }

    #[test]
    fn parts_are_found_in_dictionaries_within_dictionaries() {
        let pickle = nested(&[
            vec![("b", None), ("a", None)],
            vec![("ema", Some(0)), ("raw", Some(0))],
            vec![("state", Some(1)), ("model", Some(0)), ("loose", None)],
        ]);
        assert_eq!(keys(0, &pickle).unwrap(), [""]);
        assert_eq!(
            keys(2, &pickle).unwrap(),
            ["state.ema", "state.raw", "model"]
        );
        let first = parts(&Value::Dict(0), &pickle).unwrap().remove(0);
        assert_eq!(first.tensors, [("a".to_owned(), 0), ("b".to_owned(), 0)]);
        let mixed = nested(&[vec![], vec![("w", None), ("x", Some(0))]]);
        let error = keys(1, &mixed).unwrap_err();
        assert!(error.contains("`x` is a dict"), "{error}");
    }

    #[test]
    fn dictionaries_that_repeat_or_hold_themselves_end() {
        let selfish = nested(&[vec![("me", Some(0)), ("again", Some(0))]]);
        assert!(keys(0, &selfish).is_err());
        let mut levels = vec![vec![("w", None)]];
        for level in 0..60 {
            levels.push((0..10).map(|_| ("x", Some(level))).collect());
        }
        let found = keys(7, &nested(&levels)).unwrap();
        assert!(found.len() <= MOST_VISITED, "{}", found.len());
        assert!(keys(60, &nested(&levels)).is_err());

        // One name of a megabyte, a thousand times.
        let long = "n".repeat(1 << 20);
        let mut many = vec![vec![(long.as_str(), None)]];
        let names: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
        many.push(names.iter().map(|name| (name.as_str(), Some(0))).collect());
        let pickle = nested(&many);
        assert!(keys(1, &pickle).unwrap().len() <= 64);
        let mut notes_of = Pickle::default();
        notes_of.dicts.push(vec![(
            Value::Text("a".into()),
            Value::Text(long.as_str().into()),
        )]);
        assert_eq!(
            notes(&Value::Dict(0), &notes_of)["a"].chars().count(),
            MOST_NOTES + 1
        );
    }
}
