//! The program `nac` from the outside, on the bundled digits.
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use place::{Place, tensors};
use predicates::prelude::*;

#[test]
fn train_then_eval_agree_and_a_second_run_is_the_same() {
    let place = Place::new();
    let train = |out: &str| {
        place
            .run(&["train", "--config", "tiny.toml", "--out", out])
            .success()
    };
    train("a").stdout(predicate::str::contains("test        accuracy"));
    let summary = place.summary("a");
    assert_eq!(
        (
            summary.steps,
            summary.test_examples,
            summary.validation_examples
        ),
        (12, 360, 100)
    );
    assert_eq!(summary.train_examples, 1337);
    assert!((0.08..0.13).contains(&summary.majority_accuracy.unwrap()));
    assert_eq!(
        summary
            .validation_curve
            .iter()
            .map(|p| p.step)
            .collect::<Vec<_>>(),
        [5, 10, 12]
    );
    assert_eq!(summary.train_curve.len(), 6);
    assert_eq!(
        (
            summary.graphs.len(),
            summary.graphs[0].link_probabilities.len()
        ),
        (1, 64)
    );
    assert_eq!(place.checkpoints("a").len(), 3);

    let expected = format!(
        "test accuracy {:.6} loss {:.6} examples 360",
        summary.test.metrics["accuracy"], summary.test.loss
    );
    place
        .run(&["eval", "--run", "a"])
        .success()
        .stdout(predicate::str::contains(expected));
    let last = summary.validation_curve[2].metrics["accuracy"];
    let expected = format!("validation accuracy {last:.6}");
    place
        .run(&["eval", "--run", "a", "--split", "validation"])
        .success()
        .stdout(predicate::str::contains(expected));

    place
        .run(&["eval", "--run", "a", "--corruption", "impulse_noise:5"])
        .success()
        .stdout(predicate::str::contains("test + impulse_noise 5 accuracy"));
    place
        .run(&["eval", "--run", "a", "--corruption", "fog:5"])
        .failure()
        .stderr(predicate::str::contains("gaussian_noise"));

    let lines = fs::read_to_string(place.path("a/metrics.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.iter().filter(|e| e["event"] == "train").count(), 6);
    assert_eq!(events.last().unwrap()["event"], "test");
    assert!(
        fs::read_to_string(place.path("a/config.toml"))
            .unwrap()
            .contains("weight_decay = 0.05")
    );
    assert_eq!(
        fs::read_to_string(place.path("a/revision")).unwrap(),
        "unknown\n"
    );

    train("b");
    assert_eq!(place.timeless("a"), place.timeless("b"));
    let name = "step-00000012.safetensors";
    assert_eq!(
        tensors(&place.path("a"), name),
        tensors(&place.path("b"), name)
    );

    // Resuming a finished run prints its summary and touches nothing; not resuming is refused.
    let before = fs::read(place.path("a/metrics.jsonl")).unwrap();
    place
        .run(&["train", "--resume", "--out", "a"])
        .success()
        .stdout(predicate::str::contains("12 steps"));
    place
        .run(&["train", "--config", "tiny.toml", "--out", "a"])
        .code(1)
        .stderr(predicate::str::contains("holds a run").and(predicate::str::contains("--resume")));
    place
        .run(&[
            "train",
            "--config",
            "tiny.toml",
            "--out",
            "a",
            "--resume",
            "--set",
            "seed=4",
        ])
        .code(1)
        .stderr(predicate::str::contains("these differ: seed (0 → 4)"));
    assert_eq!(fs::read(place.path("a/metrics.jsonl")).unwrap(), before);
}

#[test]
fn the_baseline_trains_from_the_same_file() {
    let place = Place::new();
    let set = [
        "--set",
        "model.kind=perceiver-io",
        "--set",
        "training.steps=2",
        "--set",
        "name=pio",
    ];
    place
        .run(&[&["train", "--config", "tiny.toml"], &set[..]].concat())
        .success();
    let summary = place.summary("runs/pio");
    assert_eq!(summary.model, "perceiver-io");
    assert!(summary.graphs.is_empty());
}

#[cfg(unix)]
#[test]
fn a_killed_run_resumes_to_the_same_weights() {
    let place = Place::new();
    let set = ["--set", "training.steps=80", "--config", "tiny.toml"];
    place
        .run(&[&["train", "--out", "whole"], &set[..]].concat())
        .success();
    let mut killed = place.nac(&[&["train", "--out", "killed"], &set[..]].concat());
    let mut child = killed
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while place.checkpoints("killed").len() < 3 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap(); // SIGKILL
    let _ = child.wait().unwrap();
    assert!(!place.path("killed/summary.json").exists());
    place
        .run(&["train", "--resume", "--out", "killed"])
        .success();
    let name = "step-00000080.safetensors";
    assert_eq!(
        tensors(&place.path("whole"), name),
        tensors(&place.path("killed"), name)
    );
    let (whole, killed) = (place.timeless("whole"), place.timeless("killed"));
    assert_eq!(whole.test, killed.test);
    assert_eq!(
        (whole.train_curve, whole.validation_curve),
        (killed.train_curve, killed.validation_curve)
    );
    let metrics = fs::read_to_string(place.path("killed/metrics.jsonl")).unwrap();
    assert!(metrics.contains(r#"{"event":"resume""#));
}

#[test]
fn bad_input_is_named_and_leaves_everything_as_it_was() {
    let place = Place::new();
    let fails = |arguments: &[&str], parts: &[&str]| {
        let assert = place.run(arguments).code(predicate::in_iter([1, 2]));
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        for part in parts {
            assert!(text.contains(part), "{arguments:?}: {part} in {text}");
        }
    };
    let settings = |text: &str| fs::write(place.path("bad.toml"), text).unwrap();
    settings("seed = 1\n[training]\nbatchsize = 4\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["bad.toml:3:1: unknown field `batchsize`", "| batchsize = 4"],
    );
    settings("[training]\nbatch_size = \"four\"\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["bad.toml:2:14: invalid type: string \"four\""],
    );
    settings("[data]\nname = \"digitz\"\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["unknown data set `digitz`", "digits"],
    );
    settings("[data]\nname = \"cifar10\"\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["cifar10", "not found"],
    );
    settings("[model.circuit]\npropagators = 0\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["propagators", "at least 1"],
    );
    settings("[training]\nvalidation_examples = 2000\n");
    fails(
        &["train", "--config", "bad.toml"],
        &["training.validation_examples = 2000", "1437"],
    );
    fails(
        &["train", "--config", "none.toml"],
        &["cannot read none.toml"],
    );
    fails(&["train"], &["give --config FILE"]);
    fails(
        &["train", "--resume", "--out", "none"],
        &["none: there is no run in this folder", "config.toml"],
    );
    fails(
        &[
            "train",
            "--config",
            "tiny.toml",
            "--set",
            "training.stepz=1",
        ],
        &["--set training.stepz=1: unknown field"],
    );
    fails(
        &["train", "--config", "tiny.toml", "--device", "gpu"],
        &["gpu", "use cpu, cuda"],
    );
    fails(
        &["eval", "--run", "none"],
        &["none: there is no run in this folder"],
    );
    fails(&["data", "get", "mnist"], &["unknown data set `mnist`"]);
    assert!(!place.path("runs").exists(), "nothing was made");

    fs::write(place.path("file"), "kept").unwrap();
    fails(
        &["train", "--config", "tiny.toml", "--out", "file/run"],
        &["file/run", "Not a directory"],
    );
    fails(
        &["train", "--config", "tiny.toml", "--out", "file"],
        &["cannot read file", "Not a directory"],
    );
    assert_eq!(fs::read(place.path("file")).unwrap(), b"kept");
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let place = Place::new();
    let set = [
        "--config",
        "tiny.toml",
        "--out",
        "run",
        "--set",
        "training.steps=3",
    ];
    place.run(&[&["train"], &set[..]].concat()).success();
    fs::remove_file(place.path("run/summary.json")).unwrap();
    let resume = || place.run(&["train", "--resume", "--out", "run"]);
    let last = place.path("run/checkpoints/step-00000003.safetensors");
    let whole = fs::read(&last).unwrap();
    fs::write(&last, &whole[..whole.len() / 2]).unwrap();
    let parts = || {
        predicate::str::contains("step-00000003.safetensors: damaged")
            .and(predicate::str::contains("The newest whole one is"))
            .and(predicate::str::contains("step-00000002"))
    };
    resume().code(1).stderr(parts());
    place.run(&["eval", "--run", "run"]).code(1).stderr(parts());
    assert_eq!(
        fs::read(&last).unwrap(),
        &whole[..whole.len() / 2],
        "left as it was"
    );

    // A checkpoint of a model of other sizes: the settings that differ are named.
    let path = place.path("run/config.toml");
    fs::write(&last, &whole).unwrap();
    let config = fs::read_to_string(&path).unwrap();
    let (_, unsealed) = config.split_once('\n').unwrap();
    fs::write(&path, unsealed.replace("state_dim = 16", "state_dim = 24")).unwrap();
    let parts = predicate::str::contains("other settings").and(predicate::str::contains(
        "model.circuit.state_dim (16 → 24)",
    ));
    place.run(&["eval", "--run", "run"]).code(1).stderr(parts);
    fs::write(&path, config).unwrap();

    // With the damage undone the run ends as if nothing had been.
    fs::write(&last, &whole).unwrap();
    resume().success();
    assert_eq!(place.summary("run").steps, 3);
}

#[test]
fn settings_and_data_can_be_listed() {
    let place = Place::new();
    place
        .run(&["config", "--defaults"])
        .success()
        .stdout(predicate::str::contains("[optimizer]"));
    place
        .run(&["config", "--config", "tiny.toml", "--set", "seed=5"])
        .success()
        .stdout(
            predicate::str::contains("seed = 5")
                .and(predicate::str::contains("weight_decay = 0.05")),
        );
    place.run(&["data", "list"]).success().stdout(
        predicate::str::contains("nac data get cifar10").and(predicate::str::contains("digits")),
    );
    place
        .run(&["data", "get", "digits"])
        .success()
        .stdout(predicate::str::contains("part of this program"));
}

#[cfg(unix)]
#[test]
fn a_listing_whose_reader_has_gone_ends_quietly() {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("nac"))
        .args(["config", "--defaults"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
