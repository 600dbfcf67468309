//! Whether an NVIDIA driver answers, and is new enough for the CUDA build of libtorch.

use std::path::Path;
use std::process::Command;

use crate::command::output;

/// CUDA 13.0 needs a driver of this series or a later one.
const OLDEST: u32 = 580;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A driver that serves CUDA 13: the name of the GPU and the version of the driver.
    Works(String),
    /// The reason there is no CUDA.
    No(String),
}

/// Asks `nvidia-smi`.
pub fn find() -> Driver {
    let query = ["--query-gpu=driver_version,name", "--format=csv,noheader"];
    match output(Command::new("nvidia-smi").args(query)) {
        Ok(text) => read(&text),
        Err(_) if Path::new("/proc/driver/nvidia/version").exists() => {
            Driver::No("an NVIDIA driver is loaded, but `nvidia-smi` does not answer".into())
        }
        Err(_) => Driver::No("no NVIDIA driver answers (`nvidia-smi` is missing or fails)".into()),
    }
}

fn read(text: &str) -> Driver {
    let Some((version, name)) = text.lines().next().and_then(|line| line.split_once(',')) else {
        return Driver::No("`nvidia-smi` lists no GPU".into());
    };
    let (version, name) = (version.trim(), name.trim());
    match version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok())
    {
        Some(major) if major >= OLDEST => Driver::Works(format!("{name}, driver {version}")),
        Some(_) => Driver::No(format!(
            "driver {version} is older than {OLDEST}, which CUDA 13 needs"
        )),
        None => Driver::No(format!("`nvidia-smi` gave no driver version ({version})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_nvidia_smi_are_read() {
        assert_eq!(
            read("580.95.05, NVIDIA X\n"),
            Driver::Works("NVIDIA X, driver 580.95.05".into())
        );
        assert_eq!(read(""), Driver::No("`nvidia-smi` lists no GPU".into()));
        for (text, part) in [
            ("535.1, X", "older than 580"),
            ("[N/A], X", "no driver version"),
        ] {
            match read(text) {
                Driver::No(why) => assert!(why.contains(part), "{why}"),
                Driver::Works(_) => panic!("{text}"),
            }
        }
    }
}
