//! In what two resolved models differ.

use std::collections::BTreeSet;

use nac_core::model::spec::ModelSpec;
use serde_json::Value;

/// Fields in which `back` is not `model`, as `path (model's → back's)`. A change that many layers share is named once,
/// by the first of them.
pub(super) fn lost(model: &ModelSpec, back: &ModelSpec) -> Vec<String> {
    let value = |of: &ModelSpec| serde_json::to_value(of).unwrap_or_default();
    let mut found = Found::default();
    found.compare(&mut Vec::new(), &value(model), &value(back));
    found.lines
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
    seen: BTreeSet<String>,
}

impl Found {
    fn compare(&mut self, path: &mut Vec<String>, left: &Value, right: &Value) {
        let pairs: Vec<(String, &Value, &Value)> = match (left, right) {
            (Value::Object(l), Value::Object(r)) if l.keys().eq(r.keys()) => {
                let pairs = l.iter().zip(r.values());
                pairs.map(|((key, l), r)| (key.clone(), l, r)).collect()
            }
            (Value::Array(l), Value::Array(r)) if l.len() == r.len() => {
                let pairs = l.iter().zip(r).enumerate();
                pairs.map(|(at, (l, r))| (at.to_string(), l, r)).collect()
            }
            (l, r) if l == r => return,
            (l, r) => {
                let change = format!("({} → {})", short(l), short(r));
                let field = path.iter().rev().find(|key| key.parse::<usize>().is_err());
                let field = field.map_or("", String::as_str);
                if self.seen.insert(format!("{field} {change}")) {
                    self.lines.push(format!("{} {change}", path.join(".")));
                }
                return;
            }
        };
        for (key, left, right) in pairs {
            path.push(key);
            self.compare(path, left, right);
            let _ = path.pop();
        }
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "{…}".into(),
        Value::Array(entries) => format!("[{} entries]", entries.len()),
        other => other.to_string(),
    }
}
