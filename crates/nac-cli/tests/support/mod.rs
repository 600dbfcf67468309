//! The full set of goldens, for tests that go over all of them.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

/// The folder `NAC_GOLDENS_DIR`; without it, says on standard error and in the log of skipped tests what is skipped.
pub(crate) fn all_goldens(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty());
    if folder.is_none() {
        let line = format!("SKIPPED: {what} (set NAC_GOLDENS_DIR to the full set of goldens)");
        eprintln!("{line}");
        if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
            let log = fs::OpenOptions::new().create(true).append(true).open(log);
            writeln!(log.unwrap(), "{line}").unwrap();
        }
    }
    folder.map(PathBuf::from)
}
