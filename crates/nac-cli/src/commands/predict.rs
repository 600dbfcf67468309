//! `nac predict`: what a trained model says about files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use nac_engine::EngineOptions;
use nac_predict::program::{Options, run};
use nac_predict::{Predictor, SETTINGS_FILE};
use nac_train::run::{EngineChoice, open_engine, trained_model};

use crate::about::About as _;

/// Arguments of `nac predict`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a run, whose last checkpoint is taken, or a folder that `nac export` wrote
    #[arg(value_name = "RUN|EXPORT")]
    model: PathBuf,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn command(args: &Args) -> Result<ExitCode> {
    let (model, options) = (&args.model, &args.options);
    let engine = EngineOptions {
        threads: options.threads,
        ..EngineOptions::default()
    };
    let predictor = if model.join(SETTINGS_FILE).is_file() {
        Predictor::load(model, engine).map_err(anyhow::Error::from)
    } else {
        of_run(model, engine)
    };
    let predictor = predictor.about("the model in", model)?;
    run(&predictor, options)
}

fn of_run(run: &std::path::Path, engine: EngineOptions) -> Result<Predictor> {
    let (file, weights) = trained_model(run)?;
    let engine = open_engine(file.clone(), &weights, EngineChoice::Core(engine))?;
    Ok(Predictor::new(&file, engine)?)
}
