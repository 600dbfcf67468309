//! `nac eval`: loss and metrics of a run's last checkpoint.

use nac_data::output;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nac_data::DataDirs;
use nac_data::corruption::CorruptionConfig;
use nac_engine::{EngineOptions, Precision};
use nac_train::run::{EngineChoice, Split, evaluate_run, evaluate_run_on};

use crate::about::About as _;
use strum::VariantNames as _;

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
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Run the model through the common interface of engines: on nac-engine, or on libtorch [default: the trainer's
    /// evaluation on libtorch]
    #[arg(long, value_enum)]
    engine: Option<Runner>,
    /// Precision of matrix products of the core engine [default: f32]
    #[arg(long, value_parser = precision(), requires = "engine")]
    precision: Option<Precision>,
    /// Threads of the engine; 0: as many as the machine has [default: 0, libtorch: `threads` of the run]
    #[arg(long, requires = "engine", value_parser = nac_predict::program::threads)]
    threads: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Runner {
    Core,
    Torch,
}

impl Args {
    fn choice(&self, runner: Runner) -> Result<EngineChoice> {
        Ok(match (runner, self.precision) {
            (Runner::Torch, Some(_)) => bail!("--precision is for --engine core"),
            (Runner::Torch, None) => EngineChoice::Torch {
                device: self.device.clone(),
                threads: self.threads,
            },
            (Runner::Core, _) if !["auto", "cpu"].contains(&self.device.as_str()) => {
                bail!("--engine core runs on the CPU, not on `{}`", self.device)
            }
            (Runner::Core, precision) => {
                let mut options = EngineOptions::default();
                if let Some(threads) = self.threads {
                    options.threads = threads;
                }
                if let Some(precision) = precision {
                    options.precision = precision;
                }
                EngineChoice::Core(options)
            }
        })
    }
}

fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::VARIANTS).try_map(|name| name.parse::<Precision>())
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
    let found = match args.engine {
        None => evaluate_run(&args.run, split, &dirs, &args.device, args.corruption),
        Some(runner) => evaluate_run_on(
            &args.run,
            split,
            &dirs,
            args.choice(runner)?,
            args.corruption,
        ),
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
