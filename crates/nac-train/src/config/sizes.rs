//! Greatest values of all numbers of the settings, checked before anything is computed from them.
//!
//! Sizes of the model are checked by nac-core. Whether the memory of this machine suffices is checked when the data are
//! known, see `run::memory`.

use nac_modules::ModuleError;
use toml::{Table, Value};

use super::{RunConfig, ValidConfig};
use crate::error::{Result, TrainError};

/// Greatest values by key; a last word stands for itself in every table.
const GREATEST: [(&str, u64); 26] = [
    ("threads", 1 << 12),
    ("training.workers", 1 << 12),
    ("seed", i64::MAX as u64),
    ("data.image.size", 1 << 15),
    ("data.image.cache_mb", 1 << 24),
    ("data.text.max_len", 1 << 24),
    ("data.text.vocabulary", 1 << 28),
    ("data.points.count", 1 << 24),
    ("train", GENERATED),
    ("validation", GENERATED),
    ("test", GENERATED),
    ("data.listops.max_args", 1 << 10),
    // Numbers of steps are written as floating-point numbers, which are exact up to here.
    ("training.steps", STEPS),
    ("training.evaluate_every", STEPS),
    ("training.checkpoint_every", STEPS),
    ("training.log_every", STEPS),
    ("optimizer.warmup_steps", STEPS),
    ("loss.graph_prior.refresh_every", STEPS),
    ("iterations", STEPS),
    ("training.epochs", 1 << 31),
    ("training.accumulate", 1 << 20),
    ("training.batch_size", 1 << 28),
    ("training.eval_batch_size", 1 << 28),
    ("loss.signature_distribution.components", 1 << 10),
    ("training.validation_examples", GREATEST_COUNT),
    ("training.keep_checkpoints", GREATEST_COUNT),
];
const STEPS: u64 = 1 << 53;
/// Examples that are generated.
const GENERATED: u64 = 1 << 28;
/// Of what is not listed.
const GREATEST_COUNT: u64 = 1 << 31;

impl RunConfig {
    /// Checks the upper ends of all numbers, and the lower ends of the model's sizes.
    pub(super) fn check_sizes(&self) -> Result<()> {
        self.model.check_sizes().map_err(ModuleError::from)?;
        let table = Table::try_from(self)
            .map_err(|error| TrainError::setting("settings", "", error.to_string()))?;
        let others = table.iter().filter(|(key, _)| *key != "model");
        others
            .into_iter()
            .try_for_each(|(key, value)| check_value(key, key, value))
    }
}

impl ValidConfig {
    /// Checks that no more threads are asked for than help on this machine. Evaluation and export of a run from a larger
    /// machine need not.
    ///
    /// # Errors
    /// [`TrainError::Setting`].
    pub(crate) fn check_machine(&self) -> Result<()> {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        check_threads("threads", self.threads, most_threads(machine), machine)?;
        let workers = self.training.workers;
        check_threads("training.workers", workers, (16 * machine).max(64), machine)
    }
}

/// Most threads of libtorch: with more than a few for each processor, they wait for each other.
pub(crate) fn most_threads(machine: usize) -> usize {
    (4 * machine).max(16)
}

fn check_threads(name: &str, threads: usize, greatest: usize, machine: usize) -> Result<()> {
    if threads <= greatest {
        return Ok(());
    }
    let reason = format!("must be at most {greatest} on this machine of {machine} processors");
    Err(TrainError::setting(name, threads, reason))
}

fn check_value(name: &str, key: &str, value: &Value) -> Result<()> {
    match value {
        Value::Table(inner) => inner
            .iter()
            .try_for_each(|(key, value)| check_value(&format!("{name}.{key}"), key, value)),
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| check_value(name, key, value)),
        Value::Integer(number) => {
            let greatest = GREATEST
                .iter()
                .find(|(listed, _)| *listed == name || *listed == key)
                .map_or(GREATEST_COUNT, |&(_, greatest)| greatest);
            match u64::try_from(*number) {
                Ok(number) if number > greatest => {
                    let reason = format!("must be at most {greatest}");
                    Err(TrainError::setting(name, number, reason))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_threads, most_threads};
    use crate::config::{DEFAULTS, from_toml, load};

    /// Every number of the documented settings, those that stand as comments too.
    fn numbers() -> Vec<(String, bool)> {
        let uncommented: String = DEFAULTS
            .lines()
            .map(|line| {
                let bare = line.trim_start_matches("# ");
                let setting = bare
                    .split_once(" = ")
                    .is_some_and(|(key, _)| key.chars().all(|c| c.is_alphanumeric() || c == '_'));
                let text = if setting || bare.starts_with('[') {
                    bare
                } else {
                    ""
                };
                format!("{text}\n")
            })
            .collect();
        let mut pairs = Vec::new();
        load::flatten("", &toml::from_str(&uncommented).unwrap(), &mut pairs);
        let number = |(key, text): (String, String)| {
            let list = text.starts_with('[');
            let first = text.trim_start_matches(['[', ' ']);
            let digits = first.starts_with(|c: char| c.is_ascii_digit());
            (digits && !first.contains(['.', 'e'])).then_some((key, list))
        };
        pairs.into_iter().filter_map(number).collect()
    }

    #[test]
    fn every_number_has_an_end_and_is_named_by_its_key() {
        let numbers = numbers();
        let find = |name: &str| numbers.iter().any(|(key, _)| key == name);
        assert!(numbers.len() >= 100, "{}: {numbers:?}", numbers.len());
        assert!(find("training.steps") && find("data.shots") && find("model.convnext.dims"));
        for (key, list) in &numbers {
            for value in [i64::MAX as u64, 1_000_000_000, 0] {
                let text = if *list {
                    format!("{key}=[{value},{value}]")
                } else {
                    format!("{key}={value}")
                };
                let checked = from_toml("", "test".as_ref(), &[text.parse().unwrap()])
                    .and_then(|config| config.check().map(|_| ()));
                let reason = checked.err().map(|error| error.to_string());
                let is_seed = key.ends_with("seed");
                match &reason {
                    Some(reason) => assert!(reason.contains(key.as_str()), "{text}: {reason}"),
                    None => assert!(value < i64::MAX as u64 || is_seed, "{text} is accepted"),
                }
            }
        }
    }

    #[test]
    fn threads_are_limited_by_the_machine() {
        for (name, value) in [("threads", 4_096), ("training.workers", 4_096)] {
            let change = format!("{name}={value}").parse().unwrap();
            let config = from_toml("", "test".as_ref(), &[change]).unwrap();
            let error = check_threads(name, value, most_threads(2), 2);
            let error = error.unwrap_err().to_string();
            config.check().unwrap();
            assert!(
                error.starts_with(&format!("{name} = {value}: must be at most"))
                    && error.ends_with("processors"),
                "{error}"
            );
        }
    }
}
