//! `nac`: trains and evaluates Neural Attentive Circuits, and gets their data.

mod about;
mod commands;

use nac_data::output::{self, OutputError};
use std::process::ExitCode;

use crate::commands::{
    adapt, config, data, eval, export, init, inspect, parity, predict, presets, reproduce,
    robustness, train, weights,
};
use clap::{Parser, Subcommand};
use nac_dist::Launcher;
use nac_train::TrainError;

/// Neural Attentive Circuits.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at your own data and write settings that train on them
    Init(init::Args),
    /// Train a model, or go on with an interrupted run
    Train(train::Args),
    /// Evaluate the last checkpoint of a run
    Eval(eval::Args),
    /// Adapt trained models to other classes from a few examples of each
    Adapt(adapt::Args),
    /// Evaluate trained models on corrupted images and on renditions
    Robustness(robustness::Args),
    /// Write the model of a run as two files that programs without libtorch read
    Export(export::Args),
    /// Say what a trained model makes of files
    Predict(predict::Args),
    /// Run the main experiments and write one report
    ReproducePaper(reproduce::Args),
    /// List data sets, or get one
    Data(data::Args),
    /// Compare our layers with a folder of goldens, recorded from the reference implementation
    Parity(parity::Args),
    /// Look into files of weights, convert them, check them against a model
    Weights(weights::Args),
    /// List models that have a name, or print the settings of one
    Presets(presets::Args),
    /// Print the boxes of a model with their sizes, parameters and operations
    Inspect(inspect::Args),
    /// Print all settings with their defaults, or check those of a file
    Config(config::Args),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let result = match command {
        Command::Train(args) => train::command(&args),
        Command::ReproducePaper(args) => reproduce::command(args),
        Command::Parity(args) => parity::command(args),
        Command::Init(args) => init::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Predict(args) => predict::command(&args),
        Command::Eval(args) => eval::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Adapt(args) => adapt::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Robustness(args) => robustness::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => export::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(args) => data::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Weights(args) => weights::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Presets(args) => presets::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => config::command(&args).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        // A listing cut off by `| head` ends quietly.
        Err(error) if is_closed(&error) => ExitCode::from(OutputError::CLOSED),
        Err(error) => {
            let (prefix, code) = told(&error);
            output::note(format_args!("{prefix}{error:#}"));
            ExitCode::from(code)
        }
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<OutputError>());
    cause.is_some_and(OutputError::is_closed)
}

/// What to say before an error, and the exit code. A run that was stopped did what it was asked to do.
fn told(error: &anyhow::Error) -> (&'static str, u8) {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<TrainError>());
    match cause {
        Some(TrainError::Interrupted { signal, .. }) => ("", signal.exit_code()),
        Some(TrainError::Paused {
            signal: Some(signal),
            ..
        }) => ("", signal.exit_code()),
        Some(cause) if cause.is_of_another_process() => ("error: ", Launcher::LOST),
        _ => ("error: ", 1),
    }
}
