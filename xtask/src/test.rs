//! `cargo xtask test`: every test of the workspace, doc tests, and every example program.
//!
//! Tests that need real data or the full set of goldens look at two variables, which the options
//! `--data-dir` and `--goldens` set. Cargo hides what a passing test prints, so a test that skips
//! something appends one line to a file, which is shown at the end:
//!
//! ```text
//! fn skip(what: &str, why: &str) {
//!     let line = format!("SKIPPED: {what} ({why})\n");
//!     eprint!("{line}");
//!     if let Some(path) = std::env::var_os("NAC_SKIP_LOG") {
//!         let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
//!         log.and_then(|mut log| std::io::Write::write_all(&mut log, line.as_bytes())).unwrap();
//!     }
//! }
//! ```

use nac_data::output;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cli::TestOptions;
use crate::setup;
use crate::workspace::{Workspace, output, status};

const DATA_DIR: &str = "NAC_TEST_DATA_DIR";
const GOLDENS_DIR: &str = "NAC_GOLDENS_DIR";
const SKIP_LOG: &str = "NAC_SKIP_LOG";

/// The command.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions) -> Result<ExitCode> {
    let variables = variables(options)?;
    setup::ensure(workspace)?;
    let log = workspace.scratch()?.join("skipped.txt");
    fs_err::write(&log, "")?;
    let with_variables = |mut command: Command| {
        command
            .envs(variables.iter().map(|(name, path)| (*name, path.as_path())))
            .env(SKIP_LOG, &log);
        command
    };

    let mut failed: Vec<String> = Vec::new();
    let mut tests = with_variables(workspace.cargo_at_root());
    tests.arg("test");
    if !picks_packages(&options.args) {
        tests.arg("--workspace");
    }
    if options.no_fail_fast {
        tests.arg("--no-fail-fast");
    }
    let result = status(tests.args(&options.args))?;
    if !result.success() {
        failed.push(format!("cargo test ({result})"));
    }
    let mut ran = 0;
    if !options.no_examples && (failed.is_empty() || options.no_fail_fast) {
        for (package, example) in examples(workspace)? {
            let mut run = with_variables(workspace.cargo_at_root());
            run.args([
                "run",
                "--quiet",
                "--package",
                &package,
                "--example",
                &example,
            ]);
            let result = status(&mut run)?;
            ran += 1;
            if !result.success() {
                failed.push(format!("example {example} of {package} ({result})"));
                if !options.no_fail_fast {
                    break;
                }
            }
        }
    }

    output::report(format_args!("\nexamples run: {ran}"));
    output::print(skipped(&fs_err::read_to_string(&log)?))?;
    if failed.is_empty() {
        output::report("all tests passed");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}", failed.join(", "))
}

/// Whether the arguments for `cargo test` name packages.
fn picks_packages(args: &[OsString]) -> bool {
    let mut of_cargo = args
        .iter()
        .take_while(|word| *word != "--")
        .filter_map(|word| word.to_str());
    of_cargo.any(|word| {
        word.starts_with("--package") || (word.starts_with("-p") && !word.starts_with("--"))
    })
}

/// The variables to set; a missing folder is an error, not a reason to skip.
fn variables(options: &TestOptions) -> Result<Vec<(&'static str, PathBuf)>> {
    let given = [
        (DATA_DIR, "--data-dir", &options.data_dir),
        (GOLDENS_DIR, "--goldens", &options.goldens),
    ];
    let mut variables = Vec::new();
    for (variable, option, dir) in given {
        if let Some(dir) = dir {
            let dir = fs_err::canonicalize(dir).with_context(|| format!("option {option}"))?;
            if !dir.is_dir() {
                bail!("option {option}: {} is not a folder", dir.display());
            }
            variables.push((variable, dir));
        }
    }
    Ok(variables)
}

/// Package and name of every example program.
fn examples(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let mut command = workspace.cargo_at_root();
    let text = output(command.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    examples_in(&text).context("the answer of cargo metadata")
}

fn examples_in(metadata: &str) -> Result<Vec<(String, String)>> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
        targets: Vec<Target>,
    }
    #[derive(serde::Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let mut all = Vec::new();
    for package in metadata.packages {
        let examples = package
            .targets
            .into_iter()
            .filter(|t| t.kind.iter().any(|k| k == "example"));
        all.extend(examples.map(|target| (package.name.clone(), target.name)));
    }
    all.sort();
    Ok(all)
}

fn skipped(log: &str) -> String {
    let lines: BTreeSet<&str> = log
        .lines()
        .filter(|line| line.starts_with("SKIPPED: "))
        .collect();
    if lines.is_empty() {
        return "nothing was skipped for want of data\n".into();
    }
    let head = format!(
        "skipped for want of data: {} (give --data-dir and --goldens)\n",
        lines.len()
    );
    lines
        .into_iter()
        .fold(head, |text, line| text + "  " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_in_the_metadata() {
        let text = r#"{"packages": [
            {"name": "b", "targets": [{"name": "b", "kind": ["lib"]}, {"name": "two", "kind": ["example"]}]},
            {"name": "a", "targets": [{"name": "one", "kind": ["example"]}, {"name": "t", "kind": ["test"]}]}
        ], "version": 1}"#;
        let expected = [("a", "one"), ("b", "two")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(examples_in(text).unwrap(), expected);
        assert!(examples_in("{}").is_err());
    }

    #[test]
    fn packages_named_for_cargo_replace_the_workspace() {
        let picks =
            |words: &[&str]| picks_packages(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(picks(&["-p", "nac-core"]) && picks(&["--lib", "--package=nac-core"]));
        assert!(!picks(&["--lib", "name", "--", "-p"]) && !picks(&["--profile", "release"]));
    }

    #[test]
    fn each_skip_is_listed_once() {
        let log =
            "SKIPPED: CIFAR-10 (no data)\nother\nSKIPPED: CIFAR-10 (no data)\nSKIPPED: a (b)\n";
        let text = skipped(log);
        assert!(text.starts_with("skipped for want of data: 2"), "{text}");
        assert_eq!(text.matches("CIFAR-10").count(), 1);
        assert!(skipped("").contains("nothing was skipped"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let missing = TestOptions {
            data_dir: Some("no-such-folder".into()),
            ..TestOptions::default()
        };
        let error = format!("{:#}", variables(&missing).unwrap_err());
        assert!(
            error.contains("--data-dir") && error.contains("no-such-folder"),
            "{error}"
        );
        let dir = tempfile::tempdir().unwrap();
        let there = TestOptions {
            goldens: Some(dir.path().into()),
            ..TestOptions::default()
        };
        assert_eq!(variables(&there).unwrap()[0].0, GOLDENS_DIR);
    }
}
