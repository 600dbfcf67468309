//! `nac export`: settings and weights of a trained model, for programs without libtorch.

use nac_data::output;
use std::path::PathBuf;

use anyhow::{Result, bail};
use nac_core::model::Preset;
use nac_pytorch::weights::read;
use nac_train::run::{Exported, export_preset, export_run};

use crate::about::About as _;

/// Arguments of `nac export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the run whose last checkpoint is taken
    #[arg(long, value_name = "DIR", required_unless_present = "preset")]
    run: Option<PathBuf>,
    /// Instead of a run: name of a model, see `nac presets`
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "run",
        requires = "weights"
    )]
    preset: Option<String>,
    /// The weights for it: .safetensors, a checkpoint of a run, .pt or .pth
    #[arg(long, value_name = "FILE", requires = "preset")]
    weights: Option<PathBuf>,
    /// Folder for model.toml and model.safetensors
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let exported = match (&args.run, &args.preset, &args.weights) {
        (Some(run), ..) => export_run(run, &args.out, args.force).about("exporting", run)?,
        (None, Some(preset), Some(weights)) => {
            // An unknown name is an error before the weights are read.
            Preset::get(preset)?;
            let tensors = read(weights, None)?.tensors;
            let source = weights.display().to_string();
            export_preset(preset, &source, &tensors, &args.out, args.force)?
        }
        _ => bail!("give --run, or --preset and --weights"),
    };
    let Exported {
        settings,
        weights,
        parameters,
        step,
    } = exported;
    let step = step.map_or_else(String::new, |step| format!(" after step {step}"));
    output::report(format_args!("{}: the model's settings", settings.display()));
    output::report(format_args!(
        "{}: {parameters} parameters{step}",
        weights.display()
    ));
    Ok(())
}
