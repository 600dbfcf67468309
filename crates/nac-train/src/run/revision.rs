//! Which revision of the source made a run.

use std::path::Path;
use std::process::Command;

/// Git revision of `folder`, with ` (dirty)` if files are changed; `unknown` outside a repository.
pub fn revision(folder: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(hash) if !hash.is_empty() => {
            let clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
            if clean {
                hash
            } else {
                format!("{hash} (dirty)")
            }
        }
        _ => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_repository_it_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(revision(folder.path()), "unknown");
        assert_eq!(revision(&folder.path().join("none")), "unknown");
    }
}
