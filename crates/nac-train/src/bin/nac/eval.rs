//! `nac eval`: accuracy of a run's last checkpoint.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nac_data::DataDirs;
use nac_train::run::{Split, evaluate_run};

/// Arguments of `nac eval`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which examples
    #[arg(long, value_enum, default_value = "test")]
    split: Part,
    /// Folder with data sets; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
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
    let found = evaluate_run(&args.run, split, &dirs, &args.device)
        .with_context(|| format!("evaluating {}", args.run.display()))?;
    println!(
        "{name} accuracy {:.6} loss {:.6} examples {}",
        found.accuracy, found.loss, found.examples
    );
    Ok(())
}
