//! `nac-measure`: one measurement of one model with one engine, in a separate process.
//!
//! `nac-measure --model chonker --engine torch --json` measures; `nac-measure count chonker` prints what the model costs
//! at least; `nac-measure weights chonker FILE` writes the weights that all engines use; `nac-measure sample` and
//! `nac-measure propagator` measure sparse graphs.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nac_benches::measure::{
    Named, Options, PropagatorOptions, SampleOptions, propagate, run, sample, write_weights,
};
use nac_core::model::spec::{Algorithm, table};
use serde::Serialize;

/// Measure a pass of a model: time, images per second, operations, peak memory, logits.
#[derive(Debug, Parser)]
#[command(
    name = "nac-measure",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Option<Options>,
    /// Print one line of JSON instead of many
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print operations and bytes of each stage of a model
    Count {
        /// As for `--model`
        model: String,
        /// Print JSON instead of a Markdown table
        #[arg(long)]
        json: bool,
    },
    /// Measure the sampling of a sparse graph over random signatures
    Sample {
        #[command(flatten)]
        options: SampleOptions,
        /// Print one line of JSON instead of many
        #[arg(long)]
        json: bool,
    },
    /// Measure a propagator over the edges of a sparse graph, or over all pairs
    Propagator {
        #[command(flatten)]
        options: PropagatorOptions,
        /// Print one line of JSON instead of many
        #[arg(long)]
        json: bool,
    },
    /// Write the weights that engines draw from seed 0
    Weights {
        /// As for `--model`
        model: String,
        /// The safetensors file
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match answer(&Cli::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer(cli: &Cli) -> anyhow::Result<String> {
    Ok(match (&cli.command, &cli.options) {
        (Some(Command::Count { model, json }), _) => {
            let model = Named::resolve(model)?;
            let reference = model.count(Algorithm::Reference)?;
            let folded = model.count(Algorithm::Folded)?;
            if *json {
                serde_json::to_string_pretty(&[&reference, &folded])?
            } else {
                table(&reference, &folded)
            }
        }
        (Some(Command::Weights { model, file }), _) => {
            write_weights(&Named::resolve(model)?.file, file)?;
            format!("{}", file.display())
        }
        (Some(Command::Sample { options, json }), _) => shown(&sample(options)?, *json)?,
        (Some(Command::Propagator { options, json }), _) => shown(&propagate(options)?, *json)?,
        (None, Some(options)) => shown(&run(options)?, cli.json)?,
        (None, None) => anyhow::bail!("nothing to do; see --help"),
    })
}

fn shown(measurement: &impl Serialize, one_line: bool) -> serde_json::Result<String> {
    if one_line {
        serde_json::to_string(measurement)
    } else {
        serde_json::to_string_pretty(measurement)
    }
}
