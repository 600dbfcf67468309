//! `nac adapt`: a trained model learns other classes from a few examples of each.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nac_data::{DataDirs, output};
use nac_train::adapt::{AdaptConfig, AdaptReport, AdaptSummary, TrainedPart, adapt};
use nac_train::run::RunOptions;
use nac_train::trainer::Interrupt;

use crate::about::About as _;

/// Arguments of `nac adapt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of the runs whose last checkpoints are adapted; the first is compared with each other one
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Settings with the target; see the book's page on adaptation
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Examples of each class, several after commas [default: `shots` of the file, else 1,2,4,8,16]
    #[arg(long, value_delimiter = ',')]
    shots: Vec<usize>,
    /// What is trained, several after commas: head, descriptors or all [default: `train` of the file, else descriptors]
    #[arg(long, value_delimiter = ',')]
    train: Vec<TrainedPart>,
    /// Draws of examples [default: `episodes` of the file, else 5]
    #[arg(long)]
    episodes: Option<usize>,
    /// Keep each adapted model as the folder of a run below models/
    #[arg(long)]
    save_models: bool,
    /// Go on with the results in the folder
    #[arg(long)]
    resume: bool,
    /// Folder of the results [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with data sets; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long)]
    device: Option<String>,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let mut config = AdaptConfig::load(&args.config)?;
    if !args.shots.is_empty() {
        config.shots.clone_from(&args.shots);
    }
    if !args.train.is_empty() {
        config.train.clone_from(&args.train);
    }
    if let Some(episodes) = args.episodes {
        config.episodes = episodes;
    }
    if let Some(device) = &args.device {
        config.device.clone_from(device);
    }
    config.save_models |= args.save_models;
    let mut options = RunOptions::new(DataDirs::discover(args.data_dir.clone())?);
    options.out.clone_from(&args.out);
    options.resume = args.resume;
    options.interrupt = Interrupt::on_signals()?;
    let folder = options.folder(&config.name);
    let report = adapt(&args.runs, &config, &options).about("adaptation", &folder)?;
    print(&report, &folder);
    Ok(())
}

fn print(report: &AdaptReport, folder: &Path) {
    output::report(format_args!("results     {}", folder.display()));
    output::report(format_args!("source      {}", report.sources.join("; ")));
    output::report(format_args!(
        "target      {}, {} classes, {} test examples",
        report.target, report.classes, report.test_examples
    ));
    let name = |text: &str| text.chars().count();
    let width = report.models.iter().map(|model| name(&model.name)).max();
    let width = width.unwrap_or(0).max("difference".len());
    output::report(format_args!(
        "\n{:<12} {:>5} {:<width$} {:<17} {:>9} {:>6} {:>9}",
        "train", "shots", "model", "accuracy", "rate", "steps", "trained"
    ));
    let line = |found: &AdaptSummary| {
        output::report(format_args!(
            "{:<12} {:>5} {:<width$} {:<17} {:>9} {:>6} {:>9} of {}",
            found.part.name(),
            found.shots,
            found.model,
            found.accuracy.to_string(),
            found.learning_rate,
            found.steps,
            found.trained_values,
            found.parameters,
        ));
    };
    let Some(first) = report.models.first() else {
        return;
    };
    for group in report
        .summaries
        .iter()
        .filter(|found| found.model == first.name)
    {
        let same = |found: &&AdaptSummary| (found.part, found.shots) == (group.part, group.shots);
        report.summaries.iter().filter(same).for_each(line);
        let own = report.differences.iter();
        for found in own.filter(|d| (d.part, d.shots) == (group.part, group.shots)) {
            output::report(format_args!(
                "{:<12} {:>5} {:<width$} {:<17} standard error {:.4}, {} − {}, trained {} and {}",
                found.part.name(),
                found.shots,
                "difference",
                found.difference.to_string(),
                found.difference.standard_error,
                found.first,
                found.second,
                found.trained_values[0],
                found.trained_values[1],
            ));
        }
    }
}
