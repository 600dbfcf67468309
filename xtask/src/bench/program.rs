//! The programs that measure: built with optimizations, then started once for each measurement.

use nac_data::output;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

use super::set::Allocator;
use crate::workspace::{Workspace, shown};

/// A program that prints one line of JSON.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
}

/// An artifact message of cargo.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Program {
    /// Builds the program `name` of a package.
    pub(crate) fn build(workspace: &Workspace, package: &str, name: &str) -> Result<Self> {
        let mut command = workspace.cargo_at_root();
        command.args(["build", "--release", "--package", package, "--bin", name]);
        command.arg("--message-format=json-render-diagnostics");
        output::note(format_args!("$ {}", shown(&command)));
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{}` could not be started", shown(&command)))?;
        if !output.status.success() {
            bail!("`{}` failed ({})", shown(&command), output.status);
        }
        let path = executable(&String::from_utf8_lossy(&output.stdout), name);
        let path = path.with_context(|| format!("cargo did not say where it put {name}"))?;
        Ok(Self { path })
    }

    /// The command, with the allocator's variables; the user's own allocator variables are removed.
    fn command(&self, arguments: &[String], allocator: Allocator) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("MALLOC_"))
            {
                command.env_remove(name);
            }
        }
        command.envs(allocator.variables().iter().copied());
        command
    }

    /// Runs it and parses its line.
    pub(crate) fn run(&self, arguments: &[String], allocator: Allocator) -> Result<Value> {
        let mut command = self.command(arguments, allocator);
        let output = command
            .output()
            .with_context(|| format!("`{}` could not be started", shown(&command)))?;
        if !output.status.success() {
            return Err(anyhow!(reason(
                &String::from_utf8_lossy(&output.stderr),
                &output.status.to_string()
            )));
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{}` did not print JSON", shown(&command)))
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().map(Path::new);
        name.unwrap_or(&self.path).display().to_string()
    }
}

/// Where cargo put the program `name`.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter(|message| {
            message
                .target
                .as_ref()
                .is_some_and(|target| target.name == name)
        })
        .find_map(|message| message.executable)
}

/// Why a program failed: the line of its error, else how it ended.
fn reason(stderr: &str, status: &str) -> String {
    let error = stderr.lines().find_map(|line| line.strip_prefix("error: "));
    error.unwrap_or(status).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tch"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"nac-measure"},"executable":"/t/release/nac-measure"}
{"reason":"build-finished","success":true}"#;
        let found = executable(messages, "nac-measure");
        assert_eq!(found, Some("/t/release/nac-measure".into()));
        assert_eq!(executable(messages, "tch"), None);
    }

    #[test]
    fn failures_are_told_by_their_error_line() {
        let stderr = "note: x\nerror: does not fit: about 33 GB are needed\n  more";
        assert!(reason(stderr, "exit status: 1").starts_with("does not fit"));
        assert_eq!(reason("", "signal: 9"), "signal: 9");
    }

    #[test]
    fn the_tuned_allocator_is_in_the_environment_of_the_child_alone() {
        let program = Program {
            path: "nac-measure".into(),
        };
        let variables = |allocator| {
            let command = program.command(&[], allocator);
            let set = command.get_envs().filter(|(_, value)| value.is_some());
            set.count()
        };
        assert_eq!(variables(Allocator::Default), 0);
        assert_eq!(variables(Allocator::Tuned), 3);
    }
}
