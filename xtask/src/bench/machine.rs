//! Description of the machine of a measurement.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// Processor features that speed up matrix products.
const FEATURES: [&str; 9] = [
    "fma",
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "asimd",
];

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    pub(crate) processor: String,
    /// Those of [`FEATURES`] that it has.
    pub(crate) features: Vec<String>,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Memory in GB.
    pub(crate) memory_gb: u64,
    /// Operating system and architecture.
    pub(crate) system: String,
    /// GPUs that the NVIDIA driver reports.
    pub(crate) gpus: Vec<String>,
}

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Self {
        let read = |path| fs_err::read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        Self {
            processor: field(&cpu, "model name").unwrap_or("unknown").to_owned(),
            features: features(&cpu),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: gigabytes(&memory),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            gpus: gpus(),
        }
    }

    /// A short word: `cpu<cores>`, or the GPU's name if that is what measures.
    pub(crate) fn word(&self, on_cuda: bool) -> String {
        let gpu = self.gpus.first().filter(|_| on_cuda);
        let word = gpu.and_then(|name| name.split_whitespace().find(|word| has_digit(word)));
        match word {
            Some(word) => word.to_lowercase(),
            None => format!("cpu{}", self.cores),
        }
    }
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn features(cpu: &str) -> Vec<String> {
    let line = field(cpu, "flags").or_else(|| field(cpu, "Features"));
    let has: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let known = FEATURES.into_iter().filter(|feature| has.contains(feature));
    known.map(str::to_owned).collect()
}

fn gigabytes(memory: &str) -> u64 {
    let total = field(memory, "MemTotal").and_then(|value| value.strip_suffix("kB"));
    let kilobytes: u64 = total.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    (kilobytes as f64 * 1024.0 / 1e9).round() as u64
}

/// Names of GPUs; none where there is no driver.
fn gpus() -> Vec<String> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=name", "--format=csv,noheader"])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().map(|line| line.trim().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Processes that ran or waited in the last minute, on average: how busy the machine was.
pub(crate) fn load() -> Option<f64> {
    let text = fs_err::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: &str = "processor\t: 0\nmodel name\t: Some CPU 9\nflags\t\t: fpu avx2 fma avx512f\n";

    #[test]
    fn facts_are_read_by_whole_names() {
        assert_eq!(field(CPU, "model name"), Some("Some CPU 9"));
        assert_eq!(features(CPU), ["fma", "avx2", "avx512f"]);
        assert_eq!(gigabytes("MemTotal:       24000000 kB\n"), 25);
    }

    #[test]
    fn the_word_is_the_gpus_only_where_it_measures() {
        let machine = Machine {
            processor: "x".into(),
            features: Vec::new(),
            cores: 2,
            memory_gb: 24,
            system: "linux x86_64".into(),
            gpus: vec!["NVIDIA H100 80GB HBM3".into()],
        };
        assert_eq!(machine.word(false), "cpu2");
        assert_eq!(machine.word(true), "h100");
    }
}
