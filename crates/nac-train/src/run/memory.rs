//! Whether the memory of this machine can hold a run, before anything of it is built.
//!
//! Counted is only what every way of training needs, so that no run is refused which would fit: of each parameter the
//! value, the gradient and two moments; of each example of a batch the inputs of the matrix products, which the
//! backward pass reads again.

use nac_core::model::spec::{Algorithm, Node as _};
use nac_data::{DataDirs, DatasetInfo};
use toml::{Table, Value};

use super::build::{Data, model_file};
use super::options::RunOptions;
use crate::config::{RunConfig, ValidConfig};
use crate::error::{Result, TrainError};

/// Bytes of a parameter with its gradient and the two moments of AdamW.
const TRAINED_PARAMETER: f64 = 16.0;
/// Of the bytes that products read and write, the share that must be kept for the backward pass. Half of them are
/// read; some of those can be computed again.
const KEPT: f64 = 1.0 / 3.0;

/// An error if training needs more memory than there is. It names the setting that matters most.
///
/// # Errors
/// [`TrainError::Setting`].
pub(super) fn check_memory(config: &ValidConfig, data: &Data, options: &RunOptions) -> Result<()> {
    let (info, dirs) = (data.train.info(), &options.data_dirs);
    // Each process has its share of a batch.
    let share = config.training.batch_size / options.group.size().max(1);
    check(config, info, share.min(data.train.len()).max(1), dirs)
}

fn check(config: &ValidConfig, info: &DatasetInfo, most: usize, dirs: &DataDirs) -> Result<()> {
    let (needed, available) = (needed(config, info, most)?, available());
    if needed <= available {
        return Ok(());
    }
    let (name, value) = blame(config, info, most, dirs);
    let reason = format!(
        "training needs at least {}, and {} of memory are free. Make this or another size smaller",
        size(needed),
        size(available)
    );
    Err(TrainError::Setting {
        name,
        value,
        reason,
    })
}

/// Bytes that training needs at least, with at most so many examples in a batch.
fn needed(config: &ValidConfig, info: &DatasetInfo, most: usize) -> Result<f64> {
    let model = model_file(config, info)?
        .resolve()
        .map_err(nac_modules::ModuleError::from)?;
    let batch = config.training.batch_size.min(most) as f64;
    let kept = model.operations(Algorithm::Folded).per_example().bytes as f64 * KEPT;
    Ok(TRAINED_PARAMETER * model.parameter_count() as f64 + batch * kept)
}

/// Bytes that a new program can use: free memory and swap, but not more than the limit of a container.
fn available() -> f64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let free = system.available_memory() as f64 + system.free_swap() as f64;
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 => free.min(limits.total_memory as f64),
        _ => free,
    }
}

/// The setting that saves most memory if it is halved, with its value. What the user set comes before defaults.
fn blame(
    config: &ValidConfig,
    info: &DatasetInfo,
    most: usize,
    dirs: &DataDirs,
) -> (String, String) {
    let (Ok(table), Ok(defaults)) = (
        Table::try_from(&**config),
        Table::try_from(RunConfig::default()),
    ) else {
        return ("model".into(), config.model.kind.to_string());
    };
    let mut keys = Vec::new();
    sizes(&table, &mut Vec::new(), &mut keys);
    let halved = |path: &[String]| -> Option<f64> {
        let mut changed = table.clone();
        halve(entry(&mut changed, path)?);
        let changed: RunConfig = Value::Table(changed).try_into().ok()?;
        let changed = changed.check().ok()?;
        if path.first().is_some_and(|first| first == "data") {
            let info = nac_data::describe(&changed.data, dirs).ok()?;
            return needed(&changed, &info, most).ok();
        }
        needed(&changed, info, most).ok()
    };
    let best = keys
        .into_iter()
        .filter_map(|path| {
            let is_default = lookup(&table, &path) == lookup(&defaults, &path);
            // A default is blamed only if it matters clearly more than what the user set.
            let factor = if is_default { 1.5 } else { 1.0 };
            Some((factor * halved(&path)?, path))
        })
        .min_by(|(one, _), (other, _)| one.total_cmp(other));
    let Some((_, path)) = best else {
        return ("model".into(), config.model.kind.to_string());
    };
    let value = lookup(&table, &path).map_or_else(String::new, ToString::to_string);
    (path.join("."), value)
}

/// Paths of all sizes that a model, its batches or its inputs have.
fn sizes(table: &Table, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for (key, value) in table {
        path.push(key.clone());
        let counts = matches!(path.first().map(String::as_str), Some("model" | "data"))
            || path.join(".") == "training.batch_size";
        match value {
            Value::Table(inner) => sizes(inner, path, found),
            Value::Integer(_) if counts => found.push(path.clone()),
            Value::Array(values) if counts && values.iter().all(Value::is_integer) => {
                found.push(path.clone());
            }
            _ => {}
        }
        path.pop();
    }
}

fn entry<'a>(table: &'a mut Table, path: &[String]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get_mut(first)?, |value, key| value.get_mut(key))
}

fn lookup<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(first)?, |value, key| value.get(key))
}

fn halve(value: &mut Value) {
    match value {
        Value::Integer(size) => *size = (*size / 2).max(1),
        Value::Array(values) => values.iter_mut().for_each(halve),
        _ => {}
    }
}

/// Bytes for people.
fn size(bytes: f64) -> String {
    let gibibytes = bytes / f64::from(1 << 30);
    if gibibytes >= 100.0 {
        format!("{gibibytes:.0} GiB")
    } else {
        format!("{gibibytes:.1} GiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_toml;

    fn checked(changes: &[&str]) -> Result<()> {
        let changes: Vec<_> = changes.iter().map(|text| text.parse().unwrap()).collect();
        let config = from_toml("", "test".as_ref(), &changes)?.check()?;
        let dirs = DataDirs::new(None, None, std::env::temp_dir());
        let info = nac_data::describe(&config.data, &dirs)?;
        check(&config, &info, 1 << 30, &dirs)
    }

    #[test]
    fn a_small_model_fits() {
        checked(&["model.circuit.modules=32", "training.batch_size=8"]).unwrap();
        assert!(available() > 1e6);
    }

    #[test]
    fn what_is_too_large_is_named_by_its_key() {
        for (key, value) in [
            ("model.circuit.modules", 1_000_000),
            ("model.circuit.state_dim", 100_000),
            ("model.circuit.propagators", 4_000),
            ("training.batch_size", 100_000_000),
        ] {
            let text = checked(&[&format!("{key}={value}")])
                .map_err(|error| error.to_string())
                .unwrap_err();
            assert!(
                text.starts_with(&format!("{key} = {value}: training needs")),
                "{text}"
            );
        }
        let text = checked(&[
            "model.kind=perceiver-io",
            "model.perceiver_io.latents=900000",
        ])
        .unwrap_err()
        .to_string();
        assert!(
            text.starts_with("model.perceiver_io.latents = 900000"),
            "{text}"
        );
    }
}
