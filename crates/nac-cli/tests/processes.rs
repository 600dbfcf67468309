//! Several processes that train one model, from the outside: the same result as one, and no loss without a word.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nac_data::random::Stream;
use place::{Place, tensors};

const LAST: &str = "step-00000060.safetensors";

/// `nac train` of the tiny model for 60 steps, with these arguments besides.
fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = [
        "train",
        "--config",
        "tiny.toml",
        "--set",
        "training.steps=60",
        "--set",
        "training.evaluate_every=20",
        "--out",
        out,
    ];
    [&start[..], more].concat()
}

/// Starts a run as `torchrun` does, without the launcher.
fn start(place: &Place, size: usize, arguments: &[&str]) -> Vec<Child> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port.local_addr().unwrap().port();
    let start = |rank: usize| {
        place
            .nac(arguments)
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", size.to_string())
            .env("LOCAL_RANK", rank.to_string())
            .env("LOCAL_WORLD_SIZE", size.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..size).map(start).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn send(signal: &str, id: u32) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until the run has saved so many steps.
fn wait_for(place: &Place, run: &str, step: u64) {
    let reached = || {
        let last = place.checkpoints(run).pop()?;
        let number = last.strip_prefix("step-")?.strip_suffix(".safetensors")?;
        number.parse::<u64>().ok()
    };
    while reached().is_none_or(|found| found < step) {
        sleep(Duration::from_millis(5));
    }
}

/// The processes that a process started.
fn children(id: u32) -> Vec<u32> {
    let found = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &id.to_string()])
        .output();
    let text = String::from_utf8(found.unwrap().stdout).unwrap();
    let mut ids: Vec<u32> = text
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// Kills a rank of a run that has saved `step`; the other one ends with 75 and names it.
fn kill_one(place: &Place, run: &str, victim: usize, step: u64, more: &[&str]) {
    let mut ranks = start(place, 2, &train(run, more));
    wait_for(place, run, step);
    ranks[victim].kill().unwrap();
    ranks.remove(victim).wait().unwrap();
    let output = ranks.remove(0).wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    let lost = format!(": rank {} lost rank {victim} in ", 1 - victim);
    assert!(
        text.contains(&lost) && text.contains("error: run "),
        "{text}"
    );
    assert!(text.contains(": step "), "{text}");
    assert!(!place.path(run).join("summary.json").exists());
}

#[test]
fn two_processes_give_what_one_gives() {
    let place = Place::new();
    for (out, count, more) in [
        ("one", "1", &[][..]),
        ("two", "2", &[]),
        ("three", "3", &[]),
        ("bf16", "2", &["--set", "processes.compress=bf16"]),
    ] {
        place
            .run(&[&train(out, more)[..], &["--processes", count]].concat())
            .success();
    }
    let (one, test) = (place.summary("one"), place.summary("one").test);
    // Sums in another order, in float32, over 60 steps; bfloat16 rounds each gradient to 8 bits.
    for (out, count, limit) in [("two", 2, 2e-3), ("three", 3, 2e-3), ("bf16", 2, 5e-2)] {
        let found = place.summary(out);
        assert_eq!((one.processes, found.processes), (1, count));
        assert!((found.test.loss - test.loss).abs() < limit, "{out}");
        assert_eq!(found.test.metrics.len(), test.metrics.len());
        assert_eq!(found.train_curve.len(), one.train_curve.len());
        let weights = tensors(&place.path("one"), LAST);
        for (name, tensor) in tensors(&place.path(out), LAST) {
            // The softmax over scores ignores their bias: its gradient is rounding alone, which AdamW makes as large as any.
            if name.ends_with("confidence_scorer.bias") || !name.starts_with("model.") {
                continue;
            }
            let difference = (tensor - &weights[&name]).abs().max().double_value(&[]);
            assert!(difference < limit, "{out} {name}: {difference}");
        }
    }
}

#[test]
fn after_a_loss_the_run_goes_on_with_the_same_or_another_number() {
    let place = Place::new();
    place.run(&train("whole", &["--processes", "2"])).success();
    for victim in [0, 1] {
        let run = format!("killed{victim}");
        kill_one(&place, &run, victim, 3, &[]);
        let go_on = |count| ["train", "--resume", "--out", &run, "--processes", count];
        place.run(&go_on("2")).success();
        let (whole, killed) = (place.timeless("whole"), place.timeless(&run));
        assert_eq!(
            (whole.test, whole.train_curve),
            (killed.test, killed.train_curve)
        );
        assert_eq!(
            tensors(&place.path("whole"), LAST),
            tensors(&place.path(&run), LAST)
        );
    }
    kill_one(&place, "other", 1, 3, &[]);
    place
        .run(&["train", "--resume", "--out", "other", "--processes", "1"])
        .success();
    let (whole, other) = (place.summary("whole"), place.summary("other"));
    assert!((whole.test.loss - other.test.loss).abs() < 2e-3);
}

#[test]
fn a_process_that_hangs_is_given_up_after_the_timeout() {
    let place = Place::new();
    let limit = ["--set", "processes.timeout_seconds=2"];
    let mut ranks = start(&place, 2, &train("hung", &limit));
    wait_for(&place, "hung", 2);
    send("STOP", ranks[1].id());
    let output = ranks.remove(0).wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("rank 0 lost rank 1 in "), "{text}");
    ranks[0].kill().unwrap();
    ranks[0].wait().unwrap();
}

#[test]
fn lost_processes_are_started_again() {
    let place = Place::new();
    place.run(&train("whole", &["--processes", "2"])).success();
    let again = ["--processes", "2", "--restarts", "1"];
    let launcher = place
        .nac(&train("again", &again))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&place, "again", 5);
    send("KILL", children(launcher.id())[1]);
    let output = launcher.wait_with_output().unwrap();
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("starting 2 processes again (1 of 1)"),
        "{text}"
    );
    assert_eq!(
        tensors(&place.path("whole"), LAST),
        tensors(&place.path("again"), LAST)
    );
}

#[test]
fn without_restarts_the_launcher_says_what_was_lost() {
    let place = Place::new();
    let launcher = place
        .nac(&train("lost", &["--processes", "2"]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&place, "lost", 2);
    send("KILL", children(launcher.id())[1]);
    let output = launcher.wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("error: rank 1 was lost"), "{text}");
    assert!(text.contains("nac train --resume --out lost"), "{text}");
}

#[test]
fn signals_to_the_launcher_save_in_all_processes() {
    let place = Place::new();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let launcher = place
            .nac(&train(signal, &["--processes", "2"]))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(&place, signal, 2);
        send(signal, launcher.id());
        let output = launcher.wait_with_output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("everything is saved"), "{text}");
    }
}

/// Its processes notice that it is gone, save and end, so that the folder is free.
#[test]
fn a_killed_launcher_leaves_no_process_behind() {
    let place = Place::new();
    let arguments = train(
        "orphans",
        &["--processes", "2", "--set", "training.steps=100000"],
    );
    let mut launcher = place
        .nac(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&place, "orphans", 2);
    let ranks = children(launcher.id());
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert_eq!(ranks.len(), 2);
    let runs = |id: &u32| Command::new("kill").args(["-0", &id.to_string()]).output();
    while ranks.iter().any(|id| runs(id).unwrap().status.success()) {
        sleep(Duration::from_millis(20));
    }
    assert!(!place.path("orphans/summary.json").exists());
}

#[test]
fn errors_of_settings_are_said_once_and_before_anything_starts() {
    let place = Place::new();
    for (more, part) in [
        (&["--processes", "17"][..], "processes.count = 17"),
        (&["--processes", "0"], "from 1 to 1024"),
        (
            &["--processes", "1", "--restarts", "1"],
            "--restarts is for several",
        ),
        (
            &["--processes", "2", "--set", "training.log_every=0"],
            "training.log_every",
        ),
    ] {
        let output = place.nac(&train("wrong", more)).output().unwrap();
        let text = stderr(&output);
        assert!(!output.status.success() && text.contains(part), "{text}");
        assert_eq!(text.matches(part).count(), 1, "{text}");
        assert!(!place.path("wrong").exists());
    }
}

/// Kills at random steps: of the one process, or of either of two. Every checkpoint is whole, and the end is that of a run
/// that was left alone, to the bit.
#[test]
#[ignore = "slow: 60 kills"]
fn sixty_kills_change_nothing() {
    let mut random = Stream::new(1, "kills", &[]);
    for processes in [1_usize, 2] {
        let place = Place::new();
        let count = processes.to_string();
        place
            .run(&train("whole", &["--processes", &count]))
            .success();
        for round in 0..6 {
            let run = format!("run{round}");
            for kill in 0..5 {
                let more: &[&str] = if kill == 0 { &[] } else { &["--resume"] };
                let step = 1 + 10 * kill + random.below(10);
                let victim = random.below(processes as u64) as usize;
                if processes == 2 {
                    kill_one(&place, &run, victim, step, more);
                } else {
                    let arguments = train(&run, &[more, &["--processes", "1"]].concat()).join("\n");
                    let arguments: Vec<&str> = arguments.lines().collect();
                    let mut child = place.nac(&arguments).stderr(Stdio::null()).spawn().unwrap();
                    wait_for(&place, &run, step);
                    child.kill().unwrap();
                    child.wait().unwrap();
                }
            }
            place
                .run(&["train", "--resume", "--out", &run, "--processes", &count])
                .success();
            let (whole, killed) = (place.timeless("whole"), place.timeless(&run));
            assert_eq!(whole, killed);
            assert_eq!(
                tensors(&place.path("whole"), LAST),
                tensors(&place.path(&run), LAST)
            );
        }
    }
}
