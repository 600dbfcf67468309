//! `nac train`: a run from a settings file, or the rest of an interrupted one.

use nac_data::output;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use nac_data::DataDirs;
use nac_train::config::{Override, RunConfig, from_toml, load};
use nac_train::run::{RunFolder, RunOptions, run};
use nac_train::summary::CurvePoint;
use nac_train::trainer::Interrupt;

/// Arguments of `nac train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Settings file; see `nac config --defaults`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a setting, such as training.steps=100; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Override>,
    /// Go on with the run in the folder; without --config, with the settings it was started with
    #[arg(long)]
    resume: bool,
    /// Folder of the run [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with data sets; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N; as --set device=…
    #[arg(long)]
    device: Option<String>,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let mut config = settings(args)?;
    if let Some(device) = &args.device {
        config.device.clone_from(device);
    }
    let mut options = RunOptions::new(DataDirs::discover(args.data_dir.clone())?);
    options.out.clone_from(&args.out);
    options.resume = args.resume;
    options.interrupt = Interrupt::on_signals()?;
    let folder = options.folder(&config.name);
    let summary = run(&config, &options).with_context(|| format!("run {}", folder.display()))?;
    let validation = summary.validation_curve.last();
    output::report(format_args!("run         {}", folder.display()));
    output::report(format_args!(
        "data        {}, {} training examples",
        summary.dataset, summary.train_examples
    ));
    output::report(format_args!(
        "model       {}, {} parameters",
        summary.model, summary.parameters
    ));
    output::report(format_args!(
        "training    {} steps of {} in {:.0} s",
        summary.steps, summary.batch_size, summary.wall_seconds
    ));
    if let Some(point) = validation {
        output::report(format_args!(
            "validation  {}",
            measured(point, &summary.metric)
        ));
    }
    output::report(format_args!(
        "test        {}",
        measured(&summary.test, &summary.metric)
    ));
    if let Some(majority) = summary.majority_accuracy {
        output::report(format_args!(
            "            ({majority:.4} by always giving the most frequent class)"
        ));
    }
    Ok(())
}

/// The primary metric, the others, and the loss.
fn measured(point: &CurvePoint, primary: &str) -> String {
    let mut metrics: Vec<(&String, &f64)> = point.metrics.iter().collect();
    metrics.sort_by_key(|(name, _)| *name != primary);
    let metrics = metrics
        .into_iter()
        .map(|(name, value)| format!("{name} {value:.4}, "));
    format!("{}loss {:.4}", metrics.collect::<String>(), point.loss)
}

fn settings(args: &Args) -> Result<RunConfig> {
    match (&args.config, &args.out) {
        (Some(path), _) => Ok(load(path, &args.set)?),
        (None, Some(folder)) if args.resume => {
            let frozen = RunFolder::new(folder.clone())
                .config()
                .context("there is no run to resume")?;
            let text = nac_train::config::to_toml(&frozen);
            Ok(from_toml(&text, &folder.join("config.toml"), &args.set)?)
        }
        _ => bail!("give --config FILE, or --resume --out DIR to go on with a run"),
    }
}
