//! `nac` when nobody reads what it says, or when it cannot be written: on standard output, standard error and disk.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/place.rs"]
mod place;

use std::fs;
use std::process::{Command, Stdio};

use place::{Place, tensors};
use predicates::prelude::*;

const LAST: &str = "step-00000012.safetensors";

/// Runs a line of shell with `nac` as `$nac`, in the place; its exit code and what it wrote to standard error.
fn shell(place: &Place, line: &str) -> (Option<i32>, String) {
    let nac = place.nac(&[]);
    let output = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {line}")])
        .current_dir(place.path(""))
        .env("nac", nac.get_program())
        .env("XDG_CACHE_HOME", place.path("cache"))
        .env_remove("NAC_DATA_DIR")
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_run_outlives_its_readers() {
    let place = Place::new();
    let train = "$nac train --config tiny.toml --out";
    let set = "--set training.evaluate_every=1";
    let lines = [
        format!("{train} head {set} 2>&1 | head -1 > first"),
        format!("{train} none {set} 2>&1 | true"),
        format!("{train} closed {set} >&- 2>&-"),
        #[cfg(target_os = "linux")]
        format!("{train} full {set} > /dev/full 2> /dev/full"),
    ];
    for line in lines {
        let (code, text) = shell(&place, &line);
        assert_eq!(code, Some(0), "{line}: {text}");
    }
    place
        .run(&["train", "--config", "tiny.toml", "--out", "read"])
        .success();
    let runs = ["head", "none", "closed", "full"];
    for run in runs.iter().filter(|run| place.path(run).exists()) {
        assert_eq!(place.summary(run).steps, 12);
        assert_eq!(
            tensors(&place.path(run), LAST),
            tensors(&place.path("read"), LAST)
        );
    }
    assert_eq!(
        fs::read_to_string(place.path("first"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

/// What is done is done, whether or not someone reads that it is.
#[test]
fn files_are_written_whole_for_no_reader() {
    let place = Place::new();
    place
        .run(&["train", "--config", "tiny.toml", "--out", "run"])
        .success();
    for line in [
        "$nac export --run run --out a 2>&1 | true",
        "$nac weights convert a/model.safetensors b.pt 2>&1 | true",
    ] {
        let (code, text) = shell(&place, line);
        assert_eq!(code, Some(0), "{line}: {text}");
    }
    place
        .run(&["weights", "check", "b.pt", "--run", "run"])
        .success();
}

/// Output that is the purpose of a command: a reader who has gone ends it without a word, a full device is an error.
#[test]
fn listings_end_quietly_or_say_why() {
    let place = Place::new();
    place
        .run(&["train", "--config", "tiny.toml", "--out", "run"])
        .success();
    place
        .run(&["export", "--run", "run", "--out", "model"])
        .success();
    place.run(&["data", "sample", "images", "files"]).success();
    let image = walk(&place.path("files"));
    let predict = format!("predict run {image}");
    for arguments in [
        "config --defaults",
        "config --config tiny.toml",
        "presets",
        "presets cpu-digits",
        "inspect tiny.toml",
        "data list",
        "weights inspect model/model.safetensors",
        "eval --run run",
        &predict,
    ] {
        // The reader is gone before a first word can be written.
        let (code, text) = shell(&place, &format!("sleep 0.1 | $nac {arguments} | exec 0<&-"));
        assert!(
            matches!(code, Some(0 | 141)),
            "{arguments}: {code:?} {text}"
        );
        assert_eq!(text, "", "{arguments}");
        if cfg!(target_os = "linux") {
            let (code, text) = shell(&place, &format!("$nac {arguments} > /dev/full"));
            assert_eq!(code, Some(1), "{arguments}");
            assert!(
                text.contains("cannot write to standard output: No space left"),
                "{arguments}: {text}"
            );
        }
    }
}

/// Any image below a folder.
fn walk(folder: &std::path::Path) -> String {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return walk(&path);
        }
        if path.extension().is_some_and(|ending| ending == "png") {
            return path.display().to_string();
        }
    }
    panic!("no image in {}", folder.display());
}

#[test]
fn a_closed_pipe_gives_the_exit_code_of_one() {
    let place = Place::new();
    let mut child = place
        .nac(&["config", "--defaults"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

/// A limit of the size of files stands for a full disk.
#[test]
fn a_full_disk_loses_nothing_that_was_saved() {
    let place = Place::new();
    let train = "$nac train --config tiny.toml --set training.steps=12 --out";
    let (code, text) = shell(&place, &format!("{train} whole"));
    assert_eq!(code, Some(0), "{text}");
    // A run that stops after some steps, whose disk is then full: once for metrics, once for checkpoints too.
    let (code, text) = shell(
        &place,
        &format!("trap '' XFSZ; ulimit -f 8; {train} run --set training.checkpoint_every=0"),
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("cannot write run/checkpoints/step-00000012"),
        "{text}"
    );
    assert!(!text.contains("panicked"), "{text}");
    assert!(place.checkpoints("run").is_empty(), "nothing half made");

    let mut child = place
        .nac(&["train", "--config", "tiny.toml", "--out", "later"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while place.checkpoints("later").len() < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    let saved = place.checkpoints("later");
    if saved.last().is_some_and(|last| last != LAST) {
        let before = fs::read(place.path("later/checkpoints").join(saved.last().unwrap())).unwrap();
        let (code, text) = shell(
            &place,
            "trap '' XFSZ; ulimit -f 8; $nac train --resume --out later",
        );
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("cannot write later/"), "{text}");
        assert_eq!(place.checkpoints("later"), saved);
        assert_eq!(
            fs::read(place.path("later/checkpoints").join(saved.last().unwrap())).unwrap(),
            before
        );
    }
    place
        .run(&["train", "--resume", "--out", "later"])
        .success();
    assert_eq!(
        tensors(&place.path("whole"), LAST),
        tensors(&place.path("later"), LAST)
    );
}

/// A terminal that cannot draw gets plain lines.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_without_a_name_shows_lines() {
    for (term, lines) in [
        ("TERM=dumb", true),
        ("-u TERM", true),
        ("TERM=xterm", false),
    ] {
        let place = Place::new();
        let nac = place.nac(&[]);
        let line = format!(
            "env {term} {} train --config tiny.toml --out run",
            nac.get_program().display()
        );
        let found = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(place.path(""))
            .env("XDG_CACHE_HOME", place.path("cache"))
            .stdin(Stdio::null())
            .output();
        let Ok(output) = found else {
            return; // `script` is not installed
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let line = predicate::str::contains("tiny: step 12/12 loss");
        assert_eq!(line.eval(&text), lines, "{term}: {text}");
        assert!(
            text.contains("tiny: step 5: validation loss"),
            "{term}: {text}"
        );
    }
}
