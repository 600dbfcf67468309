//! `nac-measure`: one measurement of one model with one engine, in a process of its own.

use std::process::ExitCode;

use clap::Parser;
use nac_benches::measure::{Options, run};

/// Measure a pass of a model: time, images per second, peak memory, logits.
#[derive(Debug, Parser)]
#[command(name = "nac-measure")]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> anyhow::Result<()> {
    let measurement = run(&cli.options)?;
    if cli.json {
        println!("{}", serde_json::to_string(&measurement)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&measurement)?);
    }
    Ok(())
}
