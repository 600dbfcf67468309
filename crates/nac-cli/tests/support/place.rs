//! A folder for runs of the program `nac` from the outside.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nac_train::summary::RunSummary;

/// A small run on the bundled digits.
pub(crate) const SETTINGS: &str = r#"
name = "tiny"
device = "cpu"
threads = 1

[data]
name = "digits"

[model.convnext]
dims = [16]
depths = [1]
layer_scale = 0.1

[model.circuit]
modules = 8
read_out_modules = 4
state_dim = 16
signature_dim = 8
propagators = 2
propagator.attention = { heads = 2, head_dim = 8 }

[model.perceiver_io]
depth = 2
latents = 8

[baseline]
match = "parameters"

[training]
steps = 12
batch_size = 16
evaluate_every = 5
checkpoint_every = 1
keep_checkpoints = 3
log_every = 2

[optimizer]
learning_rate = 3e-3
warmup_steps = 3
clip_norm = 1.0

[loss]
label_smoothing = 0.1
graph_prior = { prior = { name = "scale-free" } }
"#;

/// An empty folder with the file `tiny.toml`, where `nac` runs with no data but the bundled ones.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Runs `nac` again and again until it ends by itself, with success, and kills it whenever `folder` has got so many more
    /// entries. How often it was killed.
    pub(crate) fn kill_until_done(
        &self,
        arguments: &[&str],
        folder: &str,
        entries: usize,
    ) -> usize {
        let folder = self.path(folder);
        let count = || fs::read_dir(&folder).map_or(0, Iterator::count);
        for kills in 0.. {
            let before = count();
            let mut child = self.nac(arguments);
            let mut child = child
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() && count() < before + entries {
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                return kills;
            }
            child.kill().unwrap();
            let _ = child.wait().unwrap();
        }
        unreachable!("the loop has no end")
    }

    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.toml"), SETTINGS).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn nac(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("nac"));
        command.current_dir(self.folder.path()).args(arguments);
        command
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("NAC_DATA_DIR");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        assert_cmd::Command::from_std(self.nac(arguments)).assert()
    }

    pub(crate) fn summary(&self, run: &str) -> RunSummary {
        let text = fs::read_to_string(self.path(run).join("summary.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The summary without what depends on the clock.
    pub(crate) fn timeless(&self, run: &str) -> RunSummary {
        RunSummary {
            wall_seconds: 0.0,
            examples_per_second: 0.0,
            ..self.summary(run)
        }
    }

    pub(crate) fn checkpoints(&self, run: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(run).join("checkpoints")) else {
            return Vec::new();
        };
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("step-")).collect();
        names.sort();
        names
    }
}

/// Tensors of the last checkpoint, without its metadata (which hold times).
pub(crate) fn tensors(
    folder: &Path,
    name: &str,
) -> std::collections::BTreeMap<String, tch::Tensor> {
    nac_modules::params::TensorFile::read(&folder.join("checkpoints").join(name))
        .unwrap()
        .tensors
}
