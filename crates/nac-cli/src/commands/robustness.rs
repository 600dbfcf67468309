//! `nac robustness`: accuracy of trained models on corrupted images and renditions.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nac_data::corruption::Corruption;
use nac_data::{DataDirs, output};
use nac_train::robustness::{RobustnessConfig, RobustnessReport, robustness};
use nac_train::run::RunOptions;
use nac_train::trainer::Interrupt;

use super::engine_args::EngineArgs;
use crate::about::About as _;

/// Arguments of `nac robustness`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of the runs, which have one test part; the first is compared with each other one
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Kinds of corruption, several after commas [default: all]
    #[arg(long, value_delimiter = ',', value_parser = Corruption::parse)]
    kinds: Vec<Corruption>,
    /// Their severities, several after commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3, 4, 5])]
    severities: Vec<u8>,
    /// Seed of their noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Use so many test images, evenly spaced, instead of all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Do not look for the renditions of the data set
    #[arg(long)]
    no_renditions: bool,
    /// Go on with the results in the folder
    #[arg(long)]
    resume: bool,
    /// Folder of the results [default: runs/robustness]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with data sets; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let mut config = RobustnessConfig {
        severities: args.severities.clone(),
        seed: args.seed,
        limit: args.limit,
        renditions: !args.no_renditions,
        device: args.engine.device.clone(),
        engine: args.engine.choice()?,
        ..RobustnessConfig::default()
    };
    if !args.kinds.is_empty() {
        config.kinds.clone_from(&args.kinds);
    }
    let mut options = RunOptions::new(DataDirs::discover(args.data_dir.clone())?);
    options.out.clone_from(&args.out);
    options.resume = args.resume;
    options.interrupt = Interrupt::on_signals()?;
    let folder = options.folder(&config.name);
    let report = robustness(&args.runs, &config, &options).about("robustness", &folder)?;
    print(&report, &folder);
    Ok(())
}

fn print(report: &RobustnessReport, folder: &Path) {
    output::report(format_args!("results     {}", folder.display()));
    output::report(format_args!(
        "test        {}, {} images\n",
        report.dataset, report.examples
    ));
    let names = report.models.iter().map(|model| model.name.chars().count());
    let width = names.max().unwrap_or(0).max("model".len());
    output::report(format_args!(
        "{:<width$} {:>8} {:>9} {:>8} {:>13} {:>10}",
        "model", "clean", "corrupted", "drop", "relative drop", "renditions"
    ));
    let optional =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.4}"));
    for found in &report.summaries {
        output::report(format_args!(
            "{:<width$} {:>8.4} {:>9.4} {:>8.4} {:>13.4} {:>10}",
            found.model,
            found.clean,
            found.corrupted,
            found.drop,
            found.relative_drop,
            optional(found.renditions)
        ));
    }
    for found in &report.differences {
        output::report(format_args!(
            "{} − {}: clean {:+.4}, corrupted {:+.4} (sd {:.4} over {} corruptions), drop {:+.4}, renditions {}",
            found.first,
            found.second,
            found.clean,
            found.corrupted.mean,
            found.corrupted.sd,
            found.corrupted.count,
            found.drop,
            optional(found.renditions)
        ));
    }
    let Some(first) = report.summaries.first() else {
        return;
    };
    output::report(format_args!("\naccuracy by kind, over severities"));
    for kind in first.by_kind.keys() {
        let values = report.summaries.iter().map(|found| {
            let value = found.by_kind.get(kind).copied();
            format!(" {:>width$}", optional(value))
        });
        output::report(format_args!("{kind:<15}{}", values.collect::<String>()));
    }
}
