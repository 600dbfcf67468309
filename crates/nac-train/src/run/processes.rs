//! How many processes train a model on this machine.

use std::thread;

use nac_data::DataDirs;
use nac_modules::ModuleError;
use nac_modules::device::open_device;
use nac_modules::model::Measure;

use super::model_file;
use crate::config::{ProcessCount, ValidConfig};
use crate::error::{Result, TrainError};

/// Operations of a step below which processes of one thread are faster than threads of one process: the threads wait for
/// each other in every one of its many small operations, the processes once a step.
const SMALL_STEP: u64 = 50_000_000_000;
/// Examples that each process should have of a batch at least.
const SHARE: usize = 4;

/// A number of processes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processes {
    /// How many.
    pub count: usize,
    /// Why so many, for people; empty if they asked for the number.
    pub reason: String,
}

/// The number of processes that [`ProcessesConfig::count`](crate::config::ProcessesConfig::count) stands for: with `auto`,
/// as many as cores if the device is the CPU, `threads` is 0 and a step is small, as nac-core counts its operations.
///
/// # Errors
/// The data set cannot be described, the model cannot be built, or a batch has fewer examples than there are processes.
pub fn processes(config: &ValidConfig, dirs: &DataDirs) -> Result<Processes> {
    let batch = config.training.batch_size;
    let one = |reason: &str| {
        Ok(Processes {
            count: 1,
            reason: reason.to_owned(),
        })
    };
    match config.processes.count {
        ProcessCount::Exactly(count) if count <= batch => Ok(Processes {
            count,
            reason: String::new(),
        }),
        ProcessCount::Exactly(count) => {
            let reason = format!("each must have an example of every batch, which has {batch}");
            Err(TrainError::setting("processes.count", count, reason))
        }
        ProcessCount::Auto if config.threads > 0 => one("threads is set"),
        ProcessCount::Auto if open_device(&config.device)?.is_cuda() => one("the device is CUDA"),
        ProcessCount::Auto => {
            let info = nac_data::describe(&config.data, dirs)?;
            let model = model_file(config, &info)?
                .resolve()
                .map_err(ModuleError::from)?;
            let examples = batch * config.training.accumulate;
            let operations = Measure::TrainingFlops { batch: examples }.of(&model);
            let cores = thread::available_parallelism().map_or(1, usize::from);
            Ok(automatic(operations, batch, cores))
        }
    }
}

fn automatic(operations: u64, batch: usize, cores: usize) -> Processes {
    let work = operations as f64 / 1e9;
    let count = cores.min(batch / SHARE).clamp(1, ProcessCount::MAX);
    if operations > SMALL_STEP {
        let limit = SMALL_STEP as f64 / 1e9;
        let reason = format!("a step has {work:.0} · 10⁹ operations, more than {limit:.0} · 10⁹");
        return Processes { count: 1, reason };
    }
    let reason = if count < cores {
        format!("a batch of {batch} has {SHARE} examples for so many")
    } else {
        format!("one for each core: a step has only {work:.2} · 10⁹ operations")
    };
    Processes { count, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn count(change: impl FnOnce(&mut RunConfig)) -> Result<Processes> {
        let mut config = RunConfig {
            device: "cpu".into(),
            ..RunConfig::default()
        };
        change(&mut config);
        processes(&config.check()?, &DataDirs::new(None, None, "cache".into()))
    }

    #[test]
    fn small_steps_get_a_process_for_each_core() {
        assert_eq!(automatic(1_000_000_000, 64, 4).count, 4);
        assert_eq!(automatic(1_000_000_000, 8, 4).count, 2);
        assert_eq!(automatic(1_000_000_000, 1, 4).count, 1);
        let large = automatic(SMALL_STEP + 1, 64, 4);
        assert!(large.count == 1 && large.reason.contains("more than 50"));
        let cores = thread::available_parallelism().unwrap().get();
        let found = count(|config| {
            let circuit = &mut config.model.circuit;
            (circuit.modules, circuit.state_dim, circuit.propagators) = (8, 16, 1);
            let convnext = &mut config.model.convnext;
            (convnext.dims, convnext.depths) = (vec![16], vec![1]);
        })
        .unwrap();
        assert_eq!(found.count, cores.min(8), "{}", found.reason);
    }

    #[test]
    fn what_is_set_is_kept() {
        assert_eq!(count(|config| config.threads = 1).unwrap().count, 1);
        let exactly =
            |n| move |config: &mut RunConfig| config.processes.count = ProcessCount::Exactly(n);
        assert_eq!(count(exactly(3)).unwrap().count, 3);
        let error = count(exactly(33)).unwrap_err().to_string();
        assert!(error.contains("processes.count = 33"), "{error}");
    }
}
