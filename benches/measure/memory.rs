//! Resident memory of this process, as Linux counts it.

use std::fs;

use serde::Serialize;

/// Resident memory around a measurement, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Before the first pass, weights and inputs included (`VmRSS`).
    pub before: u64,
    /// Highest since then (`VmHWM`).
    pub peak: u64,
    /// The difference: what passes need on top.
    pub activations: u64,
    /// Whether the high-water mark could be reset before the first pass. If not, it may be that of loading.
    pub peak_was_reset: bool,
}

/// Before the first pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    before: u64,
    reset: bool,
}

impl Start {
    /// Resets the high-water mark. `None` where there is no `/proc`.
    pub(super) fn now() -> Option<Self> {
        // "5" sets the peak to the present size, see proc(5).
        let reset = fs::write("/proc/self/clear_refs", "5").is_ok();
        Some(Self {
            before: field("VmRSS")?,
            reset,
        })
    }

    /// Memory from the start to now.
    pub(super) fn end(self) -> Option<Memory> {
        let peak = field("VmHWM")?;
        Some(Memory {
            before: self.before,
            peak,
            activations: peak.saturating_sub(self.before),
            peak_was_reset: self.reset,
        })
    }
}

/// Memory of the machine that is free or can be freed, in bytes.
pub(super) fn available() -> Option<u64> {
    parse(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")
}

/// A field of `/proc/self/status`, in bytes.
fn field(name: &str) -> Option<u64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?, name)
}

fn parse(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_whole_name() {
        let status = "Name:\tx\nVmHWM2:\t  1 kB\nVmHWM:\t   64 kB\nVmRSS:\t 32 kB\n";
        assert_eq!(parse(status, "VmHWM"), Some(65_536));
        assert_eq!(parse(status, "VmRSS"), Some(32_768));
        assert_eq!(parse(status, "VmSwap"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_large_buffer_shows() {
        let start = Start::now().unwrap();
        let buffer = std::hint::black_box(vec![1_u8; 64 << 20]);
        let memory = start.end().unwrap();
        assert!(memory.activations > 48 << 20, "{memory:?}");
        drop(buffer);
    }
}
