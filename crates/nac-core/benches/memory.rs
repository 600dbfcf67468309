//! Peak memory of one call, in a separate process: what an allocator keeps of earlier calls would
//! hide it. Linux only.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::fs;
use std::process::Command;

/// Names the call to the new process.
const ASKED: &str = "NAC_CORE_BENCH_MEMORY";

/// What this process was started to measure, if it was started by [`peak_of`].
pub(crate) fn asked() -> Option<String> {
    std::env::var(ASKED).ok()
}

/// Runs the call `name` in a new process, which must hand it to [`answer`].
///
/// Returns its size, and its peak memory in bytes above the memory before the call.
pub(crate) fn peak_of(name: &str) -> Option<(f64, f64)> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program).env(ASKED, name).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (size, bytes) = text.trim().split_once(' ')?;
    Some((size.parse().ok()?, bytes.parse().ok()?))
}

/// Measures `run`, which returns its size, and reports to the parent process.
pub(crate) fn answer(run: impl FnOnce() -> f64) {
    // Resets the peak to the present size.
    let reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = field("VmRSS:").filter(|_| reset);
    let size = run();
    if let Some((peak, before)) = field("VmHWM:").zip(before) {
        println!("{size} {}", peak - before);
    }
}

/// A line of the process' status, in bytes.
fn field(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
