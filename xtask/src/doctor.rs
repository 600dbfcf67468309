//! `cargo xtask doctor`: what was found on this machine, and the fix for what is missing.

use nac_data::output;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use nac_setup::command::output;
use nac_setup::driver::{self, Driver};
use nac_setup::{Kind, PIP_FIX, SetupError, VERSION, amount, chain};
use nac_setup::{cache, layout, linked, prerequisites, python};

use crate::data;
use crate::workspace::Workspace;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Something is slower than it could be, or not set up yet.
    Note,
    /// Nothing can be built before this is fixed.
    Bad,
}

/// One row.
struct Row {
    state: State,
    what: &'static str,
    found: String,
    fix: Option<String>,
}

impl Row {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            state: State::Good,
            what,
            found: found.into(),
            fix: None,
        }
    }

    fn note(what: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: State::Note,
            what,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    fn bad(what: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            what,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }
}

/// The command; fails if something needed is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut rows = tools(workspace);
    rows.extend(libtorch(
        &workspace.link(),
        workspace.user_libtorch().as_deref(),
    ));
    rows.extend(storage());
    output::print(table(&rows))?;
    if rows.iter().any(|row| row.state == State::Bad) {
        output::report(format_args!(
            "\nsomething needed is missing: see the fixes above"
        ));
        return Ok(ExitCode::FAILURE);
    }
    output::report(format_args!("\neverything needed is here"));
    Ok(ExitCode::SUCCESS)
}

fn tools(workspace: &Workspace) -> Vec<Row> {
    let mut rows = Vec::new();
    let cargo = output(workspace.cargo().arg("--version")).unwrap_or_default();
    rows.push(Row::good("cargo", cargo.trim()));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    rows.push(match output(Command::new(rustc).arg("--version")) {
        Ok(version) => Row::good("rustc", version.trim()),
        Err(error) => Row::bad(
            "rustc",
            chain(&error),
            "install Rust from https://rustup.rs",
        ),
    });
    rows.push(match prerequisites::compiler() {
        Ok(version) => Row::good("C++ compiler", version),
        Err(SetupError::Compiler { found, fix }) => Row::bad("C++ compiler", found, fix),
        Err(error) => Row::bad("C++ compiler", chain(&error), prerequisites::COMPILER_FIX),
    });
    rows.push(match (python::version(), python::pip_version()) {
        (Some(python), Some(pip)) => Row::good("python3, pip", format!("{python}, {pip}")),
        (Some(python), None) => Row::note(
            "python3, pip",
            format!("{python} without pip (only needed where a direct download fails)"),
            PIP_FIX,
        ),
        (None, _) => Row::note(
            "python3, pip",
            "not found (only needed where a direct download fails)",
            "sudo apt-get install python3 python3-pip",
        ),
    });
    rows
}

fn libtorch(link: &Path, own: Option<&Path>) -> Vec<Row> {
    let mut rows = Vec::new();
    let driver = driver::find();
    let (from, found) = match own {
        Some(dir) => ("the variable LIBTORCH", layout::inspect(dir)),
        None => (".libtorch", linked(link)),
    };
    let kind = found.as_ref().ok().map(|found| found.kind);
    match found {
        Ok(found) => {
            let text = format!(
                "{VERSION} ({}), from {from}: {}",
                found.kind.label(),
                found.root.display()
            );
            rows.push(Row::good("libtorch", text));
            let lib = found.root.join("lib");
            rows.push(Row::good(
                "run path",
                format!("{} is written into the programs built", lib.display()),
            ));
        }
        Err(error) => {
            let fix = if own.is_some() {
                "unset LIBTORCH"
            } else {
                "cargo xtask setup"
            };
            rows.push(Row::bad(
                "libtorch",
                format!("{from}: {}", chain(&error)),
                fix,
            ));
        }
    }
    match fs_err::read_link(link) {
        Ok(target) => rows.push(Row::good(
            "link .libtorch",
            format!("leads to {}", target.display()),
        )),
        Err(_) if link.is_dir() => {
            rows.push(Row::good("link .libtorch", "is a folder, not a link"))
        }
        Err(_) => rows.push(Row::note(
            "link .libtorch",
            "missing: plain `cargo build` and editors will not find libtorch",
            "cargo xtask setup",
        )),
    }
    rows.push(match (driver, kind) {
        (Driver::Works(gpu), Some(Kind::Cuda)) => Row::good("CUDA", format!("yes: {gpu}")),
        (Driver::Works(gpu), _) => Row::note(
            "CUDA",
            format!("no: {gpu} answers, but libtorch is a CPU build"),
            "cargo xtask setup --cuda",
        ),
        (Driver::No(why), _) => Row::good("CUDA", format!("no: {why}")),
    });
    rows
}

fn storage() -> Vec<Row> {
    let mut rows: Vec<Row> = match data::found(None) {
        Ok(sets) => sets
            .into_iter()
            .map(|(name, location)| match location {
                Some(location) => Row::good("data set", format!("{name}: {location}")),
                None => Row::note(
                    "data set",
                    format!("{name}: not here"),
                    format!("cargo xtask data get {name}"),
                ),
            })
            .collect(),
        Err(error) => vec![Row::note(
            "data sets",
            format!("{error:#}"),
            "set NAC_DATA_DIR",
        )],
    };
    rows.push(match cache::dir() {
        Ok(dir) => {
            let free =
                cache::free_space(&dir).map_or("unknown".into(), |free| amount(free, "bytes"));
            Row::good("cache", format!("{} ({free} free)", dir.display()))
        }
        Err(error) => Row::bad(
            "cache",
            chain(&error),
            "set NAC_CACHE_DIR to a folder with free space",
        ),
    });
    rows
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mark = match row.state {
            State::Good => "ok  ",
            State::Note => "note",
            State::Bad => "BAD ",
        };
        let indent = format!("\n      {:width$}  ", "");
        let found = row.found.replace('\n', &indent);
        text += &format!("{mark}  {:width$}  {found}\n", row.what);
        if let Some(fix) = &row.fix {
            text += &format!("      {:width$}  fix: {fix}\n", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_followed_by_its_fix() {
        let rows = [
            Row::good("cargo", "1.95"),
            Row::bad("C++ compiler", "none", "install g++"),
            Row::note("x", "y", "z"),
        ];
        let expected = "ok    cargo         1.95\n\
                        BAD   C++ compiler  none\n                    fix: install g++\n\
                        note  x             y\n                    fix: z\n";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn a_missing_libtorch_is_bad_and_names_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let rows = libtorch(&dir.path().join(".libtorch"), None);
        assert_eq!(rows[0].state, State::Bad);
        assert_eq!(rows[0].fix.as_deref(), Some("cargo xtask setup"));
        let rows = libtorch(&dir.path().join(".libtorch"), Some(dir.path()));
        assert_eq!(rows[0].fix.as_deref(), Some("unset LIBTORCH"));
    }
}
