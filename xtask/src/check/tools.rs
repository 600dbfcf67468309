//! Checks by tools that are not part of Rust: each runs where it is installed and is skipped where it is not.

use nac_data::output;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::command::must;
use crate::workspace::Workspace;

/// Whether the program can be started; if not, says that it is skipped and which package has it.
fn installed(program: &str, package: &str) -> bool {
    let found = succeeds(Command::new(program).arg("--version"));
    if !found {
        output::report(format_args!(
            "{program}: skipped, it is not installed (cargo install --locked {package})"
        ));
    }
    found
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|result| result.success())
}

/// Spelling of code and prose, by `_typos.toml`.
pub(super) fn spelling(workspace: &Workspace) -> Result<()> {
    if !installed("typos", "typos-cli") {
        return Ok(());
    }
    must(
        Command::new("typos").current_dir(workspace.root()),
        "Fix: typos --write-changes, or a word in _typos.toml",
    )
}

/// Licences and sources of dependencies, by `deny.toml`, and known vulnerabilities where their list can be fetched.
pub(super) fn dependencies(workspace: &Workspace) -> Result<()> {
    if !installed("cargo-deny", "cargo-deny") {
        return Ok(());
    }
    let mut checks = vec!["deny", "check", "bans", "licenses", "sources"];
    if succeeds(workspace.cargo_at_root().args(["deny", "fetch", "db"])) {
        checks.push("advisories");
    } else {
        output::report("cargo-deny: advisories skipped, their list cannot be fetched");
    }
    must(
        workspace.cargo_at_root().args(checks),
        "Fix: another dependency, or deny.toml",
    )
}

/// The book builds.
pub(super) fn book(workspace: &Workspace) -> Result<()> {
    if !installed("mdbook", "mdbook") {
        return Ok(());
    }
    let into = workspace.scratch()?.join("book");
    let mut command = Command::new("mdbook");
    command
        .current_dir(workspace.root())
        .args(["build", "docs", "--dest-dir"])
        .arg(into);
    must(&mut command, "Fix: correct the book")
}
