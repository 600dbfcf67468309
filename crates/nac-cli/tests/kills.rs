//! A run that is killed again and again, at any moment, ends with the bits of one that was left alone.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nac_modules::params::TensorFile;
use nac_train::summary::RunSummary;

const KILLS: u64 = 50;

const SETTINGS: &str = r#"
name = "small"
device = "cpu"
threads = 1

[data]
name = "digits"

[model.convnext]
dims = [8]
depths = [1]

[model.circuit]
modules = 8
read_out_modules = 4
state_dim = 16
signature_dim = 8
propagators = 1
propagator.attention = { heads = 2, head_dim = 8 }

[training]
steps = 300
batch_size = 8
validation_examples = 50
evaluate_every = 100
checkpoint_every = 1
keep_checkpoints = 2

[loss]
graph_prior = { prior = { name = "scale-free" } }
"#;

fn nac(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("nac"));
    command.current_dir(folder).args(arguments);
    command.env("NAC_CACHE_DIR", folder.join("cache"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Names of the checkpoints of a run, in order.
fn checkpoints(run: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("step-")).collect();
    names.sort();
    names
}

/// Lets a run work for a while: half of the times from its start, half of the times from its next checkpoint on.
fn wait(child: &mut Child, run: &Path, kill: u64) {
    let before = checkpoints(run).pop();
    while kill.is_multiple_of(2) && checkpoints(run).pop() == before {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(kill * 37 % 101));
}

#[test]
fn many_kills_leave_no_trace() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::write(folder.join("small.toml"), SETTINGS).unwrap();
    let train = ["train", "--config", "small.toml", "--resume", "--out"];
    let start = |out: &str| nac(folder, &[&train[..], &[out]].concat());
    assert!(start("whole").status().unwrap().success());
    let run = folder.join("killed");
    for kill in 0..KILLS {
        let mut child = start("killed").spawn().unwrap();
        wait(&mut child, &run, kill);
        // SIGKILL; an error if it ended by itself.
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "kill {kill} came too late: {ended:?}");
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        for name in checkpoints(&run) {
            let file = TensorFile::read(&run.join("checkpoints").join(&name));
            assert!(file.is_ok(), "{name} after kill {kill}: {file:?}");
        }
    }
    assert!(start("killed").status().unwrap().success());

    let weights = |run: &str| {
        let path = folder
            .join(run)
            .join("checkpoints/step-00000300.safetensors");
        TensorFile::read(&path).unwrap().tensors
    };
    assert_eq!(weights("whole"), weights("killed"));
    let summary = |run: &str| -> RunSummary {
        let text = fs::read_to_string(folder.join(run).join("summary.json")).unwrap();
        let summary: RunSummary = serde_json::from_str(&text).unwrap();
        RunSummary {
            wall_seconds: 0.0,
            examples_per_second: 0.0,
            ..summary
        }
    };
    assert_eq!(summary("whole"), summary("killed"));
}
