//! `cargo xtask`: the one entry point of this workspace, from an empty machine to the report.
//!
//! `cli` declares the commands; each has one file or folder.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod check;
mod cli;
mod data;
mod doctor;
mod nac;
mod setup;
mod test;
mod workspace;

use nac_data::output;
use std::process::ExitCode;

use clap::Parser;

use bench::SetName;
use cli::{BenchCommand, Cli, Command};
use workspace::Workspace;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(options) => setup::run(&workspace, &options),
        Command::Doctor => doctor::run(&workspace),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Check(options) => check::run(&workspace, &options),
        Command::Data(command) => data::run(command),
        Command::Train(rest) => nac::run(&workspace, Some("train"), &rest.args),
        Command::Eval(rest) => nac::run(&workspace, Some("eval"), &rest.args),
        Command::ReproducePaper(rest) => nac::run(&workspace, Some("reproduce-paper"), &rest.args),
        Command::Parity(rest) => nac::run(&workspace, Some("parity"), &rest.args),
        Command::Nac(rest) => nac::run(&workspace, None, &rest.args),
        Command::Bench(command) => bench(&workspace, command),
    }
}

fn bench(workspace: &Workspace, command: BenchCommand) -> anyhow::Result<ExitCode> {
    let (sets, options): (&[SetName], _) = match command {
        BenchCommand::Quick(options) => (&[SetName::Quick], options),
        BenchCommand::Engine(options) => (&[SetName::Engine], options),
        BenchCommand::Training(options) => (&[SetName::Training], options),
        BenchCommand::Sparse(options) => (&[SetName::Sparse], options),
        BenchCommand::Cuda(options) => (&[SetName::Cuda], options),
        BenchCommand::All(options) => (&SetName::ALL, options),
        BenchCommand::Criterion(rest) => return nac::criterion(workspace, &rest.args),
    };
    bench::run(workspace, sets, &options)
}
