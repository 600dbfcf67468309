//! Starting other programs, with errors that name the command as one would type it.

use nac_data::output;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::error::SetupError;

/// The command as one would type it, for messages.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Prints the command, runs it and waits.
///
/// # Errors
/// It could not be started.
pub fn status(command: &mut Command) -> Result<ExitStatus, SetupError> {
    output::note(format_args!("$ {}", shown(command)));
    command.status().map_err(|source| SetupError::Start {
        command: shown(command),
        source,
    })
}

/// Standard output of a command that must succeed.
///
/// # Errors
/// It could not be started, or failed: then with what it wrote to standard error.
pub fn output(command: &mut Command) -> Result<String, SetupError> {
    let result = command.output().map_err(|source| SetupError::Start {
        command: shown(command),
        source,
    })?;
    if !result.status.success() {
        return Err(SetupError::Failed {
            command: shown(command),
            status: result.status,
            stderr: String::from_utf8_lossy(&result.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_words() {
        let mut command = Command::new("cargo");
        command.args(["no-such-command-here", "--flag"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(
            error.contains("`cargo no-such-command-here --flag` failed"),
            "{error}"
        );
    }
}
