//! `nac reproduce-paper` through the program, with models and data small enough for a test.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;

const TINY: [&str; 14] = [
    "training.steps=3",
    "training.batch_size=4",
    "training.validation_examples=20",
    "training.checkpoint_every=1",
    "data.listops.train=40",
    "data.listops.validation=20",
    "data.listops.test=20",
    "model.circuit.modules=6",
    "model.circuit.read_out_modules=2",
    "model.circuit.propagators=1",
    "model.circuit.state_dim=8",
    "model.perceiver_io.depth=1",
    "model.perceiver_io.latents=6",
    "threads=1",
];

/// The command in an empty folder, where no data and no cache of this machine are seen.
fn nac(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("nac").unwrap();
    command
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("NAC_DATA_DIR");
    command
        .args([
            "reproduce-paper",
            "--offline",
            "--device",
            "cpu",
            "--out",
            "out",
        ])
        .args(arguments);
    for change in TINY {
        command.args(["--set", change]);
    }
    command
}

fn results(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("out/results.json")).unwrap())
        .unwrap()
}

#[test]
fn listops_runs_all_models_and_what_is_finished_is_reused() {
    let dir = tempfile::tempdir().unwrap();
    let first = nac(dir.path(), &["--only", "listops"]).assert().success();
    first
        .stdout(
            contains("NAC")
                .and(contains("Perceiver IO"))
                .and(contains("report.html"))
                .and(contains("results.json")),
        )
        .stderr(
            contains("profile: quick, because runs will be on the CPU. --profile paper needs")
                .and(contains("run 1 of 3: ListOps, short: NAC, seed 0"))
                .and(contains("run 2 of 3: ListOps, short: Perceiver IO, seed 0")),
        );
    let found = results(dir.path());
    assert_eq!(found["schema"], 1);
    assert_eq!(found["profile"], "quick");
    assert!(
        found["command"]
            .as_str()
            .unwrap()
            .starts_with("nac reproduce-paper --offline"),
        "{found}"
    );
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for (row, model) in rows.iter().zip(["nac", "perceiver-io", "stem-only"]) {
        assert_eq!(row["experiment"], "listops");
        assert_eq!(row["model"], model);
        assert_eq!(row["profile"], "quick");
        assert_eq!(row["seeds"], serde_json::json!([0]));
        assert_eq!(row["paper"], "not published");
        assert_eq!(row["status"]["state"], "done");
        assert_eq!(row["expected"], Value::Null, "settings were changed");
        assert!(row["parameters"].as_u64().unwrap() > 0);
        assert!(row["wall_seconds"].as_f64().unwrap() > 0.0);
        assert!((0.0..=1.0).contains(&row["accuracy"]["mean"].as_f64().unwrap()));
        assert_eq!(row["chance_accuracy"], 0.1);
    }
    let parameters = |row: usize| rows[row]["parameters"].as_f64().unwrap();
    assert!(
        (parameters(1) / parameters(0) - 1.0).abs() < 0.1,
        "{} and {}",
        parameters(0),
        parameters(1)
    );
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs[0]["steps"], 3);
    assert_eq!(runs[0]["graphs"][0]["modules"], 6);
    assert_eq!(runs[1]["graphs"].as_array().unwrap().len(), 0);
    let page = std::fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    for part in [
        "ListOps, short",
        "class=\"heat\"",
        "class=\"degrees\"",
        "class=\"curves\"",
        "Shortened:",
    ] {
        assert!(page.contains(part), "{part}");
    }

    nac(dir.path(), &["--only", "listops"])
        .assert()
        .success()
        .stderr(
            contains("run 1 of 3: ListOps, short: NAC, seed 0 (finished before")
                .and(contains("step 3/3").not()),
        );
    assert_eq!(results(dir.path()), found);
}

#[test]
fn an_unfinished_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    nac(dir.path(), &["--only", "digits"]).assert().success();
    let before = results(dir.path());
    // As if the second run had been stopped after its second step.
    let run = dir.path().join("out/quick-digits-perceiver-io-seed0");
    std::fs::remove_file(run.join("summary.json")).unwrap();
    std::fs::remove_file(run.join("checkpoints/step-00000003.safetensors")).unwrap();
    nac(dir.path(), &["--only", "digits"])
        .assert()
        .success()
        .stderr(
            contains("NAC, seed 0 (finished before")
                .and(contains("Perceiver IO, seed 0 (continued)")),
        );
    let after = results(dir.path());
    assert_eq!(
        after["runs"][1]["test"], before["runs"][1]["test"],
        "a resumed run ends as one that was not stopped"
    );
}

#[test]
fn without_cifar10_the_rows_say_so_and_the_digits_run() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    nac(dir.path(), &["--only", "cifar10", "--data-dir", "data"])
        .assert()
        .success()
        .stdout(contains("skipped: no data").and(contains("UCI digits (8×8)")))
        .stderr(contains("cifar-10-binary.tar.gz").and(contains("--offline forbids the download")));
    let found = results(dir.path());
    let states: Vec<_> = found["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["experiment"].as_str().unwrap(),
                row["status"]["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("cifar10", "skipped"),
            ("cifar10", "skipped"),
            ("cifar10", "skipped"),
            ("digits", "done"),
            ("digits", "done"),
            ("digits", "done")
        ]
    );
    assert_eq!(found["rows"][0]["accuracy"], Value::Null);
}

#[test]
fn a_run_that_fails_is_reported_and_gives_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("data/cifar-10-batches-bin")).unwrap();
    std::fs::write(
        dir.path()
            .join("data/cifar-10-batches-bin/data_batch_1.bin"),
        "short",
    )
    .unwrap();
    nac(
        dir.path(),
        &[
            "--only",
            "cifar10",
            "--only",
            "digits",
            "--data-dir",
            "data",
        ],
    )
    .assert()
    .code(1)
    .stdout(contains("failed:").and(contains("UCI digits")))
    .stderr(contains("3 of the runs failed"));
    let found = results(dir.path());
    assert_eq!(found["rows"][0]["status"]["state"], "failed");
    assert_eq!(found["rows"][3]["status"]["state"], "done");
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    nac(dir.path(), &["--set", "training.stepz=3"])
        .assert()
        .failure()
        .stderr(contains("training.stepz"));
    nac(dir.path(), &["--set", "optimizer.eps=0"])
        .assert()
        .failure()
        .stderr(contains("optimizer.eps"));
    nac(dir.path(), &["--only", "imagenet"])
        .assert()
        .failure()
        .stderr(contains(
            "listops, cifar10, tiny-imagenet, sort-of-clevr, nlvr, imdb, modelnet10, shapes3d, digits",
        ));
    nac(dir.path(), &["--seeds", "0"]).assert().failure();
    std::fs::write(dir.path().join("out"), "a file").unwrap();
    nac(dir.path(), &["--only", "digits"])
        .assert()
        .failure()
        .stderr(contains("cannot make the folder out").and(contains("run 1").not()));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("out")).unwrap(),
        "a file"
    );
}
