//! `cargo xtask check`: format, house rules, dependencies, lints, documentation, packages; the cheapest first.

mod command;
mod packages;
mod tidy;
mod tools;

use nac_data::output;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::CheckOptions;
use crate::setup;
use crate::workspace::Workspace;
use command::must;

type Step = (&'static str, fn(&Workspace) -> Result<()>);

const STEPS: [Step; 8] = [
    ("format", format),
    ("house rules", tidy::run),
    ("spelling", tools::spelling),
    ("dependencies", tools::dependencies),
    ("lints", lints),
    ("documentation", docs),
    ("book", tools::book),
    ("packages", packages::run),
];

/// The command.
pub(crate) fn run(workspace: &Workspace, options: &CheckOptions) -> Result<ExitCode> {
    let mut failed: Vec<&str> = Vec::new();
    for (name, step) in STEPS {
        if options.tidy && name != "house rules" {
            continue;
        }
        if let Err(error) = step(workspace) {
            output::note(format_args!("{error:#}"));
            failed.push(name);
            if !options.keep_going {
                break;
            }
        }
    }
    if failed.is_empty() {
        output::report("check: all is well");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("check failed: {}", failed.join(", "))
}

fn format(workspace: &Workspace) -> Result<()> {
    must(
        workspace.cargo_at_root().args(["fmt", "--all", "--check"]),
        "Fix: cargo fmt --all",
    )
}

fn lints(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace)?;
    let words = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    must(
        workspace.cargo_at_root().args(words),
        "Fix: correct the warnings above",
    )
}

fn docs(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace)?;
    let mut command = workspace.cargo_at_root();
    command
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    must(&mut command, "Fix: correct the documentation above")
}
