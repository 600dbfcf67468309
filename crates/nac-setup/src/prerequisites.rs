//! The programs that must be there before anything is built.

use std::process::Command;

use crate::command::output;
use crate::error::SetupError;

/// How to get a C++ compiler.
pub const COMPILER_FIX: &str = "sudo apt-get install g++   (macOS: xcode-select --install)";

/// First line of `--version` of the C++ compiler that build scripts will call.
///
/// # Errors
/// There is none, or the one that `CXX` names does not answer; with the fix.
pub fn compiler() -> Result<String, SetupError> {
    let chosen = std::env::var("CXX")
        .ok()
        .filter(|name| !name.trim().is_empty());
    let default = if cfg!(windows) { "cl" } else { "c++" };
    let program = chosen.clone().unwrap_or_else(|| default.into());
    if let Some(version) = answer(&program) {
        return Ok(version);
    }
    let missing = |found: String, fix: String| Err(SetupError::Compiler { found, fix });
    if let Some(program) = chosen {
        return missing(
            format!("CXX is `{program}`, which does not answer `--version`"),
            "unset CXX, or set it to a C++ compiler".into(),
        );
    }
    match ["g++", "clang++"]
        .into_iter()
        .find(|name| answer(name).is_some())
    {
        Some(other) => missing(
            format!("there is no `{program}`, but there is `{other}`"),
            format!("export CXX={other}"),
        ),
        None => missing(
            format!("no C++ compiler was found (`{program}`)"),
            COMPILER_FIX.into(),
        ),
    }
}

fn answer(program: &str) -> Option<String> {
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next()?);
    let text = output(command.args(words).arg("--version")).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_missing_give_no_answer() {
        assert_eq!(answer("no-such-compiler-here"), None);
        assert_eq!(answer(""), None);
        assert!(answer("cargo").is_some_and(|line| line.starts_with("cargo ")));
    }
}
