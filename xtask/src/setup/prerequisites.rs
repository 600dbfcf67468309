//! The programs that must be there before anything is built.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::output;

/// How to get a C++ compiler.
pub(crate) const COMPILER_FIX: &str = "sudo apt-get install g++   (macOS: xcode-select --install)";

/// First line of `--version` of the C++ compiler that build scripts will call.
pub(crate) fn compiler() -> Result<String> {
    let chosen = std::env::var("CXX")
        .ok()
        .filter(|name| !name.trim().is_empty());
    let default = if cfg!(windows) { "cl" } else { "c++" };
    let program = chosen.clone().unwrap_or_else(|| default.into());
    if let Some(version) = answer(&program) {
        return Ok(version);
    }
    if let Some(program) = chosen {
        bail!(
            "CXX is `{program}`, which does not answer `--version`. Fix: unset CXX, or set it to a C++ compiler"
        );
    }
    match ["g++", "clang++"]
        .into_iter()
        .find(|name| answer(name).is_some())
    {
        Some(other) => {
            bail!("there is no `{program}`, but there is `{other}`. Fix: export CXX={other}")
        }
        None => bail!("no C++ compiler was found (`{program}`). Fix: {COMPILER_FIX}"),
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
