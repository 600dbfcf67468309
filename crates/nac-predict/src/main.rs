//! `nac-predict`: what a trained model says about files, without libtorch.

use nac_data::output::{self, OutputError};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nac_engine::EngineOptions;
use nac_predict::Predictor;
use nac_predict::program::{Options, run};

/// Says what a trained model makes of files.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Folder that `nac export` wrote
    #[arg(value_name = "EXPORT")]
    model: PathBuf,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let Arguments { model, options } = Arguments::parse();
    let engine = EngineOptions {
        threads: options.threads,
        ..EngineOptions::default()
    };
    let done = Predictor::load(&model, engine).map_err(anyhow::Error::from);
    match done.and_then(|predictor| run(&predictor, &options)) {
        Ok(code) => code,
        // A reader who has gone, as `head` does, is no reason to complain.
        Err(error)
            if error
                .downcast_ref::<OutputError>()
                .is_some_and(OutputError::is_closed) =>
        {
            ExitCode::from(OutputError::CLOSED)
        }
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
