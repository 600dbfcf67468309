//! Every crate that can be published packages without a warning, with its README and its licences; what needs no
//! libtorch is also built from its package.

use nac_data::output;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use super::tidy::WITHOUT_LIBTORCH;
use crate::workspace::{Workspace, output, shown};

/// Files that a package must hold.
const NEEDED: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The step of `cargo xtask check`. Nothing is fetched: the steps before it have what the builds need.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo_at_root();
    let metadata = output(cargo.args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata = MetadataCommand::parse(metadata).context("the answer of cargo metadata")?;
    let packages = metadata.workspace_packages();
    let names = packages
        .iter()
        .filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()))
        .map(|package| package.name.as_str());
    let (alone, with_libtorch): (Vec<&str>, Vec<&str>) = names
        .clone()
        .partition(|name| WITHOUT_LIBTORCH.contains(name));
    for name in names {
        let mut list = package(workspace, &[name]);
        let files = output(list.arg("--list"))?;
        if let Some(missing) = missing(&files) {
            bail!("the package {name} would have no {missing}");
        }
    }
    // One call for all: a package is checked against the packages of the crates that it depends on.
    let all: Vec<&str> = alone.iter().chain(&with_libtorch).copied().collect();
    without_warning(package(workspace, &all).arg("--no-verify"))?;
    // Cargo keeps what it unpacks of a registry by that registry's path and never looks again, so a folder that was
    // used before would build an older state of our own packages.
    let target = workspace.root().join("target");
    let folder = tempfile::tempdir_in(&target)
        .with_context(|| format!("a folder in {}", target.display()))?;
    without_warning(
        package(workspace, &alone)
            .arg("--target-dir")
            .arg(folder.path()),
    )?;
    output::report(format_args!("packages: {} are in order", all.len()));
    Ok(())
}

fn package(workspace: &Workspace, names: &[&str]) -> Command {
    let mut command = workspace.cargo_at_root();
    command.args(["package", "--offline", "--allow-dirty"]);
    command.args(names.iter().flat_map(|name| ["--package", name]));
    command
}

fn missing(files: &str) -> Option<&'static str> {
    NEEDED
        .into_iter()
        .find(|needed| !files.lines().any(|file| file == *needed))
}

fn without_warning(command: &mut Command) -> Result<()> {
    output::note(format_args!("$ {}", shown(command)));
    let result = command
        .output()
        .with_context(|| format!("`{}` could not be started", shown(command)))?;
    let messages = String::from_utf8_lossy(&result.stderr);
    if !result.status.success() || messages.contains("warning:") {
        bail!("{messages}\nFix: the Cargo.toml of the package");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_licence_is_named() {
        assert_eq!(
            missing("Cargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nREADME.md\n"),
            None
        );
        assert_eq!(
            missing("README.md\nLICENSE-MIT\nsrc/LICENSE-APACHE\n"),
            Some("LICENSE-APACHE")
        );
    }

    #[test]
    fn warnings_and_failures_stop() {
        let shell = |script: &str| without_warning(Command::new("sh").args(["-c", script]));
        assert!(shell("echo 'Packaging a' >&2").is_ok());
        assert!(shell("echo 'warning: manifest has no documentation' >&2").is_err());
        assert!(shell("exit 3").is_err());
    }
}
