//! The house rules of this repository, as code. Each rule lives in its own file, with its tests.

mod dependencies;
mod length;
mod links;
mod module_doc;
mod panics;
mod scan;
mod shapes;
mod text;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, output};
use scan::Scan;

/// A text file of the repository.
pub(crate) struct File {
    /// Path from the root, with `/`.
    path: String,
    text: String,
}

/// A Rust file with what the scanner found in it.
struct RustFile<'a> {
    path: &'a str,
    text: &'a str,
    scan: Scan,
    /// The whole file is compiled for tests only.
    test_only: bool,
}

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1; 0 for the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// The step of `cargo xtask check`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let files = files(workspace)?;
    let mut findings = check(&files, &|path| workspace.root().join(path).exists());
    let metadata = output(
        workspace
            .cargo_at_root()
            .args(["metadata", "--format-version", "1"]),
    )?;
    findings.extend(dependencies::check(&metadata)?);
    findings.sort();
    if findings.is_empty() {
        println!("house rules: {} files are in order", files.len());
        return Ok(());
    }
    let list = findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect::<String>();
    bail!("house rules: {} findings{list}", findings.len())
}

fn check(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rust: Vec<(&File, Scan)> = files
        .iter()
        .filter(|f| f.path.ends_with(".rs"))
        .map(|f| (f, Scan::new(&f.text)))
        .collect();
    let test_modules: Vec<PathBuf> = rust
        .iter()
        .flat_map(|(file, scan)| scan.test_modules(&file.path))
        .collect();
    for (file, scan) in rust {
        let test_only =
            is_test_path(&file.path) || test_modules.contains(&PathBuf::from(&file.path));
        let file = RustFile {
            path: &file.path,
            text: &file.text,
            scan,
            test_only,
        };
        findings.extend(length::check(&file));
        findings.extend(module_doc::check(&file));
        findings.extend(shapes::check(&file));
        findings.extend(panics::check(&file));
    }
    for file in files {
        findings.extend(text::check(file));
        findings.extend(links::check(file, exists));
    }
    findings
}

fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "benches")
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

#[cfg(test)]
fn rust_file<'a>(path: &'a str, text: &'a str) -> RustFile<'a> {
    RustFile {
        path,
        text,
        scan: Scan::new(text),
        test_only: is_test_path(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_declared_for_tests_only_may_unwrap() {
        let file = |path: &str, text: &str| File {
            path: path.into(),
            text: text.into(),
        };
        let files = [
            file(
                "crates/a/src/lib.rs",
                "//! A.\n#[cfg(test)]\nmod helper;\nmod other;\n",
            ),
            file("crates/a/src/helper.rs", "//! B.\nfn f() { x.unwrap(); }\n"),
            file("crates/a/src/other.rs", "//! C.\nfn f() { x.unwrap(); }\n"),
        ];
        let findings = check(&files, &|_| true);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0]
                .to_string()
                .starts_with("crates/a/src/other.rs:2: ")
        );
    }
}
