//! How `nac train` ends when it is told to: by Ctrl-C once and twice, SIGTERM and SIGHUP.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use place::{Place, tensors};

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Waits until something of the run in `folder` is there.
fn wait_for(place: &Place, child: &mut Child, what: impl Fn(&Place) -> bool) {
    while !what(place) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be stopped"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn signals_save_say_how_to_resume_and_give_their_exit_code() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let place = Place::new();
        let set = ["--set", "training.steps=60"];
        place
            .run(
                &[
                    &["train", "--config", "tiny.toml", "--out", "whole"],
                    &set[..],
                ]
                .concat(),
            )
            .success();
        let arguments = ["train", "--config", "tiny.toml", "--out", "stopped"];
        let mut child = place
            .nac(&[&arguments[..], &set].concat())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&place, &mut child, |place| {
            !place.checkpoints("stopped").is_empty()
        });
        send(signal, &child);
        // Schedulers and terminals send these twice; only Ctrl-C may not be repeated.
        if signal != "INT" {
            send(signal, &child);
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{signal}: {text}");
        assert!(text.contains("nac train --resume --out stopped"), "{text}");
        let step = text
            .split("interrupted after step ")
            .nth(1)
            .and_then(|text| text.split(';').next())
            .unwrap();
        let step: u64 = step.parse().unwrap();
        assert_eq!(
            place.checkpoints("stopped").last().unwrap(),
            &format!("step-{step:08}.safetensors")
        );
        place
            .run(&["train", "--resume", "--out", "stopped"])
            .success();
        let last = "step-00000060.safetensors";
        assert_eq!(
            tensors(&place.path("whole"), last),
            tensors(&place.path("stopped"), last)
        );
    }
}

/// The last of so many batches a step never comes, so a run that ends was ended by the second Ctrl-C.
#[test]
fn a_second_ctrl_c_ends_the_process_at_once_and_never_crashes() {
    let place = Place::new();
    for attempt in 0..20 {
        let out = format!("run{attempt}");
        let arguments = [
            "train",
            "--config",
            "tiny.toml",
            "--out",
            &out,
            "--set",
            "training.accumulate=1000000",
            "--set",
            "threads=2",
            "--set",
            "training.workers=2",
        ];
        let mut child = place
            .nac(&arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&place, &mut child, |place| {
            place.path(&format!("{out}/metrics.jsonl")).exists()
        });
        // At different moments of a step.
        std::thread::sleep(Duration::from_millis(7 * attempt));
        send("INT", &child);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("press Ctrl-C again") {
            assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "{text}");
        }
        send("INT", &child);
        let status = child.wait().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        assert_eq!(status.signal(), None, "{text}");
        assert_eq!(status.code(), Some(130), "{text}");
        assert!(!text.contains("error"), "{text}");
    }
}

/// `nohup` starts a program that ignores SIGHUP.
#[test]
fn a_run_under_nohup_goes_on_without_its_terminal() {
    let place = Place::new();
    let program = place.nac(&[]).get_program().to_owned();
    let mut child = Command::new("nohup")
        .arg(program)
        .args(["train", "--config", "tiny.toml", "--out", "run"])
        .args(["--set", "training.steps=40"])
        .current_dir(place.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&place, &mut child, |place| {
        !place.checkpoints("run").is_empty()
    });
    send("HUP", &child);
    assert!(child.wait().unwrap().success());
    assert_eq!(place.summary("run").steps, 40);
}
