//! The house rules of this repository, as code. Each rule lives in its own file, with its tests.

mod dependencies;
mod finding;
mod imports;
mod length;
mod links;
mod module_doc;
mod shapes;
mod source;
mod text;
mod unsafe_blocks;

use nac_data::output;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::workspace::{Workspace, output};
pub(super) use dependencies::WITHOUT_LIBTORCH;
use source::File;

/// The step of `cargo xtask check`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let files = files(workspace)?;
    let metadata = output(
        workspace
            .cargo_at_root()
            .args(["metadata", "--format-version", "1"]),
    )?;
    let metadata = MetadataCommand::parse(metadata).context("the answer of cargo metadata")?;
    let mut findings = dependencies::check(&metadata);
    let rust = source::parse(&files, &mut findings);
    for file in &rust {
        findings.extend(length::check(file));
        findings.extend(module_doc::check(file));
        findings.extend(shapes::check(file));
    }
    findings.extend(imports::check(&roots(&metadata), &rust));
    for file in &files {
        findings.extend(text::check(file));
        findings.extend(links::check(file, &|path| {
            workspace.root().join(path).exists()
        }));
        if file.path == unsafe_blocks::LIST {
            findings.extend(unsafe_blocks::check(file, &rust));
        }
    }
    findings.sort();
    findings.dedup();
    if findings.is_empty() {
        output::report(format_args!(
            "house rules: {} files are in order",
            files.len()
        ));
        return Ok(());
    }
    let list = findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect::<String>();
    bail!("house rules: {} findings{list}", findings.len())
}

/// The root files of all targets of the workspace.
fn roots(metadata: &cargo_metadata::Metadata) -> Vec<&str> {
    let targets = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| &package.targets);
    let paths = targets.map(|target| target.src_path.strip_prefix(&metadata.workspace_root));
    paths.flatten().map(|path| path.as_str()).collect()
}

/// Every text file that git tracks or would track.
fn files(workspace: &Workspace) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(workspace.root());
    let list = output(git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // Links and files that were removed but not yet committed are nothing to read.
        let full = workspace.root().join(path);
        if !full.symlink_metadata().is_ok_and(|data| data.is_file()) {
            continue;
        }
        if let Ok(text) = String::from_utf8(fs_err::read(full)?)
            && !text.contains('\0')
        {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}
