//! `nac eval`: loss and metrics of a run's last checkpoint.

use nac_data::output;
use std::path::PathBuf;

use anyhow::Result;
use nac_data::DataDirs;
use nac_data::corruption::CorruptionConfig;
use nac_train::run::{Split, evaluate_run, evaluate_run_on};

use super::engine_args::EngineArgs;
use crate::about::About as _;

/// Arguments of `nac eval`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which examples
    #[arg(long, value_enum, default_value = "test")]
    split: Part,
    /// Corrupt the images: gaussian_noise, shot_noise, impulse_noise, defocus_blur, motion_blur, brightness, contrast,
    /// pixelate or jpeg, with a severity of 1 to 5, such as jpeg:3
    #[arg(long, value_name = "KIND:SEVERITY", value_parser = CorruptionConfig::parse)]
    corruption: Option<CorruptionConfig>,
    /// Folder with data sets; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Part {
    Validation,
    Test,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let (split, name) = match args.split {
        Part::Validation => (Split::Validation, "validation"),
        Part::Test => (Split::Test, "test"),
    };
    let dirs = DataDirs::discover(args.data_dir.clone())?;
    let (run, corruption) = (&args.run, args.corruption);
    let found = match args.engine.choice()? {
        None => evaluate_run(run, split, &dirs, &args.engine.device, corruption),
        Some(choice) => evaluate_run_on(run, split, &dirs, choice, corruption),
    };
    let found = found.about("evaluating", &args.run)?;
    let metrics = found.metrics.iter();
    let metrics: String = metrics
        .map(|(metric, value)| format!("{metric} {value:.6} "))
        .collect();
    let name = match args.corruption {
        Some(corruption) => format!(
            "{name} + {} {}",
            corruption.kind.name(),
            corruption.severity
        ),
        None => name.to_owned(),
    };
    output::print(format_args!(
        "{name} {metrics}loss {:.6} examples {}\n",
        found.loss, found.examples
    ))?;
    Ok(())
}
