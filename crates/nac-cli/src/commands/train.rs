//! `nac train`: a run from a settings file, or the rest of an interrupted one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use nac_cli::processes::{self, Start};
use nac_data::{DataDirs, output};
use nac_dist::{Ended, Environment, Launcher};
use nac_train::config::{Override, ProcessCount, RunConfig, ValidConfig, from_toml, load};
use nac_train::run::{RunFolder, RunOptions, processes as run_processes, run};
use nac_train::summary::{CurvePoint, RunSummary};
use nac_train::trainer::Interrupt;

use crate::about::About as _;

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
    /// Processes that train together on this machine, or auto; as --set processes.count=…
    #[arg(long, value_name = "N")]
    processes: Option<ProcessCount>,
    /// Start all processes again, from the last checkpoint, if one is lost; so often
    #[arg(long, value_name = "K", default_value_t = 0)]
    restarts: usize,
    /// Prefix of lines of progress, for programs that start this one; no summary is printed
    #[arg(long, hide = true)]
    label: Option<String>,
}

pub(crate) fn command(args: &Args) -> Result<ExitCode> {
    let mut config = settings(args)?;
    if let Some(device) = &args.device {
        config.device.clone_from(device);
    }
    if let Some(count) = args.processes {
        config.processes.count = count;
    }
    let mut options = RunOptions::new(DataDirs::discover(args.data_dir.clone())?);
    options.out.clone_from(&args.out);
    options.resume = args.resume;
    options.label = args.label.clone().unwrap_or_default();
    let folder = options.folder(&config.name);
    let valid = config.check()?;
    if let Some(ended) = started(args, &valid, &options).about("run", &folder)? {
        return exit_code(ended, &folder);
    }
    options.interrupt = Interrupt::on_signals()?;
    processes::join(&valid, &mut options).about("run", &folder)?;
    let summary = run(&config, &options).about("run", &folder)?;
    // The others have the same to say; a caller that gave a label reads the file.
    if options.group.rank() == 0 && args.label.is_none() {
        print(&summary, &folder);
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the processes of the run and waits for them, unless it has only one or this is one of them.
fn started(args: &Args, config: &ValidConfig, options: &RunOptions) -> Result<Option<Ended>> {
    if Environment::discover()?.is_some_and(|found| found.size > 1) {
        return Ok(None);
    }
    let folder = RunFolder::new(options.folder(&config.name));
    if folder.inspect(config, options.resume)?.is_some() {
        return Ok(None);
    }
    let found = run_processes(config, &options.data_dirs)?;
    if found.count < 2 {
        if args.restarts > 0 {
            bail!(
                "--restarts is for several processes, and this run has one ({})",
                found.reason
            );
        }
        return Ok(None);
    }
    if !found.reason.is_empty() {
        let (count, reason) = (found.count, found.reason);
        output::note(format_args!(
            "training on {count} processes, {reason}; --processes 1 for one"
        ));
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let again = if args.resume {
        vec![]
    } else {
        vec!["--resume".into()]
    };
    let start = Start {
        program: std::env::current_exe().context("cannot find this program")?,
        arguments,
        again,
        processes: found.count,
        restarts: args.restarts,
    };
    Ok(Some(processes::start(config, start)?))
}

/// The exit code of processes that ended. Those that failed have said why.
fn exit_code(ended: Ended, folder: &Path) -> Result<ExitCode> {
    match ended {
        Ended::Success => Ok(ExitCode::SUCCESS),
        Ended::Failed(_, code) => Ok(ExitCode::from(code)),
        Ended::Lost(rank) => {
            let folder = folder.display();
            output::note(format_args!(
                "error: rank {rank} was lost. To go on from the last checkpoint: nac train --resume --out {folder}"
            ));
            Ok(ExitCode::from(Launcher::LOST))
        }
    }
}

fn print(summary: &RunSummary, folder: &Path) {
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
    let processes = match summary.processes {
        1 => String::new(),
        count => format!(" on {count} processes"),
    };
    output::report(format_args!(
        "training    {} steps of {} in {:.0} s{processes}",
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
            let frozen = RunFolder::new(folder.clone()).config()?;
            let text = nac_train::config::to_toml(&frozen);
            Ok(from_toml(&text, &folder.join("config.toml"), &args.set)?)
        }
        _ => bail!("give --config FILE, or --resume --out DIR to go on with a run"),
    }
}
