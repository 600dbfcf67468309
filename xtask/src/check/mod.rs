//! `cargo xtask check`: format, house rules, lints, documentation; the cheapest first.

mod tidy;

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, bail};

use crate::cli::CheckOptions;
use crate::setup;
use crate::workspace::{Workspace, status};

type Step = (&'static str, fn(&Workspace) -> Result<()>);

const STEPS: [Step; 5] = [
    ("format", format),
    ("house rules", tidy::run),
    ("lints", lints),
    ("documentation", docs),
    ("book", book),
];

/// The command.
pub(crate) fn run(workspace: &Workspace, options: &CheckOptions) -> Result<ExitCode> {
    let mut failed: Vec<&str> = Vec::new();
    for (name, step) in STEPS {
        if options.tidy && name != "house rules" {
            continue;
        }
        if let Err(error) = step(workspace) {
            eprintln!("{error:#}");
            failed.push(name);
            if !options.keep_going {
                break;
            }
        }
    }
    if failed.is_empty() {
        println!("check: all is well");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("check failed: {}", failed.join(", "))
}

fn must(command: &mut Command, fix: &str) -> Result<()> {
    let result = status(command)?;
    if !result.success() {
        bail!("{result}. {fix}");
    }
    Ok(())
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
        "Fix: mend the warnings above",
    )
}

fn docs(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace)?;
    let mut command = workspace.cargo_at_root();
    command
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    must(&mut command, "Fix: mend the documentation above")
}

fn book(workspace: &Workspace) -> Result<()> {
    let mut version = Command::new("mdbook");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !version.status().is_ok_and(|result| result.success()) {
        println!("book: skipped, mdbook is not installed (cargo install mdbook)");
        return Ok(());
    }
    let into = workspace.scratch()?.join("book");
    let mut command = Command::new("mdbook");
    command
        .current_dir(workspace.root())
        .args(["build", "docs", "--dest-dir"])
        .arg(into);
    must(&mut command, "Fix: mend the book")
}
