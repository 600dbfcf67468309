//! From TOML text and `key=value` overrides to a [`RunConfig`].

use std::fs;
use std::path::Path;
use std::str::FromStr;

use nac_data::DataConfig;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::RunConfig;
use crate::error::{Result, TrainError};

/// One `a.b.c=value` from the command line. The value is TOML; a bare word is a string.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    text: String,
    path: Vec<String>,
    value: Value,
}

impl FromStr for Override {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: &str| TrainError::Override {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| wrong("expected key=value"))?;
        let path: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(wrong(
                "expected dotted keys before `=`, such as training.steps=100",
            ));
        }
        let value = parse_value(value.trim()).ok_or_else(|| wrong("the value is not TOML"))?;
        Ok(Self {
            text: text.to_owned(),
            path,
            value,
        })
    }
}

impl Override {
    fn apply(&self, table: &mut Table) -> Result<()> {
        let Some((last, parents)) = self.path.split_last() else {
            return Ok(());
        };
        let mut table = table;
        for part in parents {
            let entry = table
                .entry(part)
                .or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = entry else {
                let reason = format!("`{part}` is not a table");
                return Err(TrainError::Override {
                    text: self.text.clone(),
                    reason,
                });
            };
            table = inner;
        }
        table.insert(last.clone(), self.value.clone());
        Ok(())
    }
}

fn parse_value(text: &str) -> Option<Value> {
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
    if let Some(mut table) = parsed.filter(|table| table.len() == 1) {
        return table.remove("value");
    }
    let word = text.starts_with(|c: char| c.is_alphabetic())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/'));
    word.then(|| Value::String(text.to_owned()))
}

/// Reads a file and applies overrides.
///
/// # Errors
/// The file cannot be read; [`TrainError::ConfigFile`] with line and column for an unknown key, a wrong
/// type or bad syntax; [`TrainError::Override`] naming the override at fault.
pub fn load(path: &Path, overrides: &[Override]) -> Result<RunConfig> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    from_toml(&text, path, overrides)
}

/// As [`load`], from text; `path` is what errors call it.
///
/// # Errors
/// As [`load`], but for reading.
pub fn from_toml(text: &str, path: &Path, overrides: &[Override]) -> Result<RunConfig> {
    let config: RunConfig = parse_toml(text, path)?;
    if overrides.is_empty() {
        return Ok(config);
    }
    let table: Table = toml::from_str(text).map_err(|error| locate(&error, text, path))?;
    let changed = apply(&table, overrides)?;
    Value::Table(changed)
        .try_into::<RunConfig>()
        .map_err(|error| blame(&table, overrides, &error))
}

/// Settings of any kind from TOML text; errors name line and column.
pub(crate) fn parse_toml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| locate(&error, text, path))
}

fn apply(table: &Table, overrides: &[Override]) -> Result<Table> {
    let mut changed = table.clone();
    overrides
        .iter()
        .try_for_each(|change| change.apply(&mut changed))?;
    Ok(changed)
}

/// The first override after which the table has the error that the final table has.
fn blame(table: &Table, overrides: &[Override], error: &toml::de::Error) -> TrainError {
    let has_fault = |count: &usize| {
        let changed =
            apply(table, &overrides[..*count]).map(|t| Value::Table(t).try_into::<RunConfig>());
        matches!(changed, Ok(Err(early)) if early.message() == error.message())
    };
    let count = (1..=overrides.len())
        .find(has_fault)
        .unwrap_or(overrides.len());
    let text = overrides
        .get(count.saturating_sub(1))
        .map_or_else(String::new, |o| o.text.clone());
    TrainError::Override {
        text,
        reason: error.message().to_owned(),
    }
}

fn locate(error: &toml::de::Error, text: &str, path: &Path) -> TrainError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = &text.as_bytes()[..start];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[line_start..])
        .chars()
        .count()
        + 1;
    TrainError::ConfigFile {
        path: path.to_owned(),
        line,
        column,
        reason: error.message().to_owned(),
        source_line: text.lines().nth(line - 1).unwrap_or_default().to_owned(),
    }
}

/// The settings as TOML, defaults written out; [`from_toml`] gives the same settings again.
pub fn to_toml(config: &RunConfig) -> String {
    // Strings, numbers, lists and tables with string keys always have a TOML form.
    toml::to_string_pretty(config).unwrap_or_else(|error| format!("# not writable: {error}\n"))
}

/// Settings that say where a run runs and where its data are, not what it is: a resumed run may change them. That the
/// data are the same is found by their [`Fingerprint`](nac_data::Fingerprint).
const PLACE: [&str; 5] = [
    "device",
    "threads",
    "training.executor",
    "processes.count",
    "processes.timeout_seconds",
];

/// As [`differences`], for settings as text. Texts that are no settings of a run are compared as they are.
pub fn settings_differ(old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let read = |text: &str| toml::from_str::<RunConfig>(text).ok();
    match read(old).zip(read(new)) {
        Some((old, new)) => differences(&old, &new),
        None => vec!["the text of the settings".into()],
    }
}

/// Settings in which two configurations differ, as `name (old → new)`. Device, threads, executor, the number of
/// processes and the places of data are where a run runs, not what it is, and are left out.
pub fn differences(old: &RunConfig, new: &RunConfig) -> Vec<String> {
    let flat = |config: &RunConfig| {
        let mut pairs = Vec::new();
        flatten("", &Table::try_from(config).unwrap_or_default(), &mut pairs);
        let is_place = |key: &str| {
            let data = key.strip_prefix("data.");
            PLACE.contains(&key) || data.is_some_and(|key| DataConfig::PATHS.contains(&key))
        };
        pairs.retain(|(key, _)| !is_place(key));
        pairs
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (old, new) = (flat(old), flat(new));
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "not set".into());
    let differ = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    differ
        .map(|key| format!("{key} ({} → {})", shown(old.get(key)), shown(new.get(key))))
        .collect()
}

/// Dotted keys and values of all leaves of a table.
pub(crate) fn flatten(prefix: &str, table: &Table, pairs: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(&name, inner, pairs),
            other => pairs.push((name, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, overrides: &[&str]) -> Result<RunConfig> {
        let overrides: Vec<Override> = overrides
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_>>()?;
        from_toml(text, Path::new("run.toml"), &overrides)
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_errors_with_line_and_column() {
        let error = read("seed = 1\n\n[training]\nbatch_sise = 3\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("run.toml:4:1: unknown field `batch_sise`"),
            "{error}"
        );
        assert!(error.ends_with("| batch_sise = 3"), "{error}");
        let error = read("[optimizer]\n  learning_rate = \"fast\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("run.toml:2:19: invalid type: string \"fast\""),
            "{error}"
        );
        let error = read("seed = = 1\n", &[]).unwrap_err().to_string();
        assert!(error.starts_with("run.toml:1:8:"), "{error}");
        let error = read("[model.circuit]\nmodulez = 3\n", &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("run.toml:2:1: unknown field `modulez`"),
            "{error}"
        );
    }

    #[test]
    fn overrides_win_and_bad_ones_are_named() {
        let text = "name = \"a\"\n[training]\nsteps = 5\n";
        let config = read(
            text,
            &[
                "training.steps=9",
                "data.name=listops",
                "model.convnext.depths=[2, 1]",
            ],
        )
        .unwrap();
        assert_eq!(config.training.steps, Some(9));
        assert_eq!(config.data.name, "listops");
        assert_eq!(config.model.convnext.depths, [2, 1]);
        for (overrides, at_fault) in [
            (
                vec!["seed=3", "training.stepz=9", "seed=4"],
                "--set training.stepz=9: unknown field",
            ),
            (vec!["seed=many"], "--set seed=many: invalid type"),
            (vec!["name.x=1"], "--set name.x=1: `name` is not a table"),
            (vec!["steps"], "--set steps: expected key=value"),
            (vec!["a..b=1"], "--set a..b=1: expected dotted keys"),
            (vec!["seed=[1"], "--set seed=[1: the value is not TOML"),
            (vec!["seed=1\nname='x'"], "the value is not TOML"),
        ] {
            let error = read(text, &overrides).unwrap_err().to_string();
            assert!(error.contains(at_fault), "{error}");
        }
    }

    #[test]
    fn toml_round_trips_and_differences_are_listed() {
        let mut config = RunConfig::default();
        config.optimizer.clip_norm = Some(1.5);
        config.loss.graph_prior = Some(super::super::GraphPriorConfig::new(
            nac_core::PriorConfig::from_name("scale-free").unwrap(),
        ));
        assert_eq!(read(&to_toml(&config), &[]).unwrap(), config);
        let mut other = config.clone();
        (other.seed, other.device, other.training.steps) = (3, "cpu".into(), Some(7));
        other.data.path = Some("elsewhere".into());
        assert_eq!(
            differences(&config, &other),
            ["seed (0 → 3)", "training.steps (not set → 7)"]
        );
        assert!(differences(&config, &config).is_empty());
        // Text that leaves defaults out is of the same settings.
        let text = |config: &RunConfig| to_toml(config);
        assert!(settings_differ("", &text(&RunConfig::default())).is_empty());
        assert_eq!(
            settings_differ(&text(&config), &text(&other)),
            differences(&config, &other)
        );
        assert!(settings_differ("my settings", "my settings").is_empty());
        assert_eq!(settings_differ("my settings", "others").len(), 1);
    }
}
