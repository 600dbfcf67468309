//! Commands that a step of the checks must get through.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::status;

/// Runs a command that must succeed; `fix` says what to do if it does not.
pub(super) fn must(command: &mut Command, fix: &str) -> Result<()> {
    let result = status(command)?;
    if !result.success() {
        bail!("{result}. {fix}");
    }
    Ok(())
}
