//! Wrappers of the program `nac` and of the criterion benchmarks: the arguments pass through untouched.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::setup;
use crate::workspace::{Workspace, shown};

/// `nac [subcommand] args…`, built with optimizations; with the set-up first, if needed.
pub(crate) fn run(
    workspace: &Workspace,
    subcommand: Option<&str>,
    args: &[OsString],
) -> Result<ExitCode> {
    setup::ensure(workspace)?;
    let mut command = workspace.cargo();
    command.args([
        "run",
        "--release",
        "--package",
        "nac-cli",
        "--bin",
        "nac",
        "--",
    ]);
    command.args(subcommand).args(args);
    replace(command)
}

/// `cargo bench --workspace args…`.
pub(crate) fn criterion(workspace: &Workspace, args: &[OsString]) -> Result<ExitCode> {
    setup::ensure(workspace)?;
    let mut command = workspace.cargo_at_root();
    command.args(["bench", "--workspace"]).args(args);
    replace(command)
}

/// Becomes the command, so that exit code, signals and Ctrl-C are exactly those of the command.
#[cfg(unix)]
fn replace(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(anyhow::Error::new(error).context(format!("`{}` could not be started", shown(&command))))
}

/// Runs the command and gives its exit code.
#[cfg(not(unix))]
fn replace(mut command: Command) -> Result<ExitCode> {
    let status = crate::workspace::status(&mut command)?;
    let code = status.code().and_then(|c| u8::try_from(c).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
