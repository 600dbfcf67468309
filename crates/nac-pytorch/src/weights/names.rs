//! Names of a file that are not those of the model: prefixes to take off, tensors to leave out.

use std::collections::BTreeMap;
use std::path::Path;

use glob::Pattern;

use super::error::{Result, WeightsError};
use super::read::StateDict;

/// Most names that an error lists.
const LISTED: usize = 5;

/// How names of a file become those of a model. Dropping comes first.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Names of tensors to leave out; `*` stands for any text, `?` for any character.
    pub drop: Vec<Pattern>,
    /// What is taken from the start of names, one after another, such as `module.` of PyTorch's data parallel and
    /// `_orig_mod.` of a compiled model. Every name that is not dropped must begin with one.
    pub prefixes: Vec<String>,
}

impl StateDict {
    /// Leaves out tensors and takes prefixes off the names of the others.
    ///
    /// # Errors
    /// A pattern fits no name; a prefix is at the start of no name; a name begins with none of the prefixes; or two
    /// names become one.
    pub fn rename(self, path: &Path, names: &Names) -> Result<Self> {
        let wrong = |reason: String| WeightsError::File {
            path: path.to_owned(),
            reason,
        };
        let unused = |fits: &dyn Fn(&str) -> bool| !self.tensors.keys().any(|name| fits(name));
        if let Some(pattern) = names.drop.iter().find(|p| unused(&|name| p.matches(name))) {
            return Err(wrong(format!("no name is `{pattern}`, so none is dropped")));
        }
        let dropped = |name: &str| names.drop.iter().any(|pattern| pattern.matches(name));
        let mut used = vec![false; names.prefixes.len()];
        let (mut tensors, mut without) = (BTreeMap::new(), Vec::new());
        for (name, tensor) in self.tensors {
            if dropped(&name) {
                continue;
            }
            let short = strip(&name, &names.prefixes, &mut used);
            if short == name && !names.prefixes.is_empty() {
                without.push(name);
            } else if short.is_empty() || tensors.contains_key(short) {
                return Err(wrong(format!(
                    "without its prefix, `{name}` has the name `{short}`, which is empty or taken"
                )));
            } else {
                tensors.insert(short.to_owned(), tensor);
            }
        }
        if let Some(prefix) = names
            .prefixes
            .iter()
            .zip(used)
            .find_map(|(prefix, used)| (!used).then_some(prefix))
        {
            return Err(wrong(format!("no name begins with the prefix `{prefix}`")));
        }
        if !without.is_empty() {
            return Err(wrong(without_prefix(&without, &names.prefixes)));
        }
        Ok(Self { tensors, ..self })
    }
}

/// `name` without the prefixes, in their order.
fn strip<'a>(name: &'a str, prefixes: &[String], used: &mut [bool]) -> &'a str {
    let mut rest = name;
    for (prefix, used) in prefixes.iter().zip(used) {
        if let Some(short) = rest.strip_prefix(prefix.as_str()) {
            (rest, *used) = (short, true);
        }
    }
    rest
}

fn without_prefix(names: &[String], prefixes: &[String]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(|p| format!("`{p}`")).collect();
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|n| format!("`{n}`"))
        .collect();
    let more = names.len() - shown.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let advice: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("--drop {name}"))
        .collect();
    format!(
        "{}{more} begin with no prefix that is taken off ({}); give another --strip-prefix, or leave them out: {}",
        shown.join(", "),
        prefixes.join(", "),
        advice.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn renamed(
        names: &[&str],
        drop: &[&str],
        prefixes: &[&str],
    ) -> std::result::Result<String, String> {
        let weights = StateDict {
            key: String::new(),
            tensors: names
                .iter()
                .map(|name| ((*name).to_owned(), Tensor::from_slice(&[1.0_f32])))
                .collect(),
        };
        let names = Names {
            drop: drop
                .iter()
                .map(|text| Pattern::new(text).unwrap())
                .collect(),
            prefixes: prefixes.iter().map(ToString::to_string).collect(),
        };
        let weights = weights.rename("file.pt".as_ref(), &names);
        let names = weights.map(|w| w.tensors.into_keys().collect::<Vec<_>>().join(" "));
        names.map_err(|error| error.to_string())
    }

    #[test]
    fn prefixes_come_off_and_names_are_left_out() {
        let averaged = ["module.a", "module.b.c", "n_averaged"];
        assert_eq!(
            renamed(&averaged, &["n_averaged"], &["module."]).unwrap(),
            "a b.c"
        );
        assert_eq!(
            renamed(&averaged, &["n_*", "*.c"], &[]).unwrap(),
            "module.a"
        );
        let compiled = ["module._orig_mod.a", "module.b"];
        assert_eq!(
            renamed(&compiled, &[], &["module.", "_orig_mod."]).unwrap(),
            "a b"
        );
        assert_eq!(
            renamed(&["left.a", "right.b"], &[], &["left.", "right."]).unwrap(),
            "a b"
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_to_do() {
        let averaged = ["module.a", "n_averaged"];
        let error = renamed(&averaged, &[], &["module."]).unwrap_err();
        assert!(
            error.contains("`n_averaged` begin with no prefix")
                && error.contains("--drop n_averaged"),
            "{error}"
        );
        let error = renamed(&averaged, &["n_averagd"], &["module."]).unwrap_err();
        assert!(error.contains("no name is `n_averagd`"), "{error}");
        let error = renamed(&averaged, &["n_*"], &["module.", "modul."]).unwrap_err();
        assert!(
            error.contains("no name begins with the prefix `modul.`"),
            "{error}"
        );
        let error = renamed(&["x.a", "y.a"], &[], &["x.", "y."]).unwrap_err();
        assert!(error.contains("empty or taken"), "{error}");
        let error = renamed(&["module."], &[], &["module."]).unwrap_err();
        assert!(error.contains("empty or taken"), "{error}");
    }
}
