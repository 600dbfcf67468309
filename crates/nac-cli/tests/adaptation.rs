//! `nac adapt` from the outside: digits 0–5 to digits 6–9.
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nac_train::adapt::{AdaptReport, EpisodeResult, TrainedPart};
use place::{Place, tensors};
use predicates::prelude::*;
use tch::Tensor;

const TARGET: &str = r#"
name = "digits-6-9"
device = "cpu"
threads = 1
shots = [1, 4]
episodes = 2

[data]
name = "digits"
classes = [6, 7, 8, 9]

[search]
learning_rates = [1e-3, 1e-2]
steps = [2, 5]
episodes = 1
"#;

/// Runs of a circuit, `a`, and of Perceiver IO, `b`, on the digits 0 to 5.
fn trained() -> Place {
    let place = Place::new();
    fs::write(place.path("target.toml"), TARGET).unwrap();
    for (out, kind) in [("a", "nac"), ("b", "perceiver-io")] {
        let kind = format!("model.kind={kind}");
        place
            .run(&[
                "train",
                "--config",
                "tiny.toml",
                "--out",
                out,
                "--set",
                &kind,
                "--set",
                "data.classes=[0,1,2,3,4,5]",
                "--set",
                "training.steps=40",
            ])
            .success();
    }
    place
}

fn report(folder: &Path) -> AdaptReport {
    serde_json::from_str(&fs::read_to_string(folder.join("results.json")).unwrap()).unwrap()
}

/// Every file below a folder but the lock, with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if name != ".lock" {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn two_models_are_compared_on_the_same_episodes() {
    let place = trained();
    let adapt = [
        "adapt",
        "a",
        "b",
        "--config",
        "target.toml",
        "--train",
        "head,descriptors,all",
        "--out",
        "r",
    ];
    place
        .run(&adapt)
        .success()
        .stdout(predicate::str::contains("digits, classes 0-5"))
        .stdout(predicate::str::contains("digits, classes 6-9, 4 classes"))
        .stdout(predicate::str::contains("difference"));
    let report = report(&place.path("r"));
    assert_eq!((report.classes, report.models.len()), (4, 2));
    // 3 parts, 2 numbers of shots, 2 models.
    assert_eq!(report.summaries.len(), 12);
    assert_eq!((report.differences.len(), report.episodes.len()), (6, 24));
    for summary in &report.summaries {
        assert_eq!((summary.accuracy.count, summary.tries), (2, 4));
        assert_eq!(
            summary.trained_values == summary.parameters,
            summary.part == TrainedPart::All
        );
    }
    for found in &report.differences {
        let [ours, theirs] = ["a", "b"].map(|model| -> Vec<&EpisodeResult> {
            let of = |result: &&EpisodeResult| {
                result.model == model
                    && result.part == found.part
                    && result.drawn.shots == found.shots
            };
            report.episodes.iter().filter(of).collect()
        });
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours.drawn, theirs.drawn);
            assert_eq!(ours.drawn.indices.len(), found.shots * 4);
            assert_eq!(
                (ours.steps, ours.test_examples),
                (theirs.steps, report.test_examples)
            );
            assert_eq!(found.episodes[at], ours.accuracy - theirs.accuracy);
        }
    }
    let count = |name: &str| {
        fs::read_to_string(place.path("r").join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(
        [
            "episodes.csv",
            "summary.csv",
            "differences.csv",
            "search.csv"
        ]
        .map(count),
        [25, 13, 7, 49]
    );

    place
        .run(&adapt)
        .failure()
        .stderr(predicate::str::contains("holds results"));
    place
        .run(&[&adapt[..], &["--resume", "--episodes", "3"]].concat())
        .failure()
        .stderr(predicate::str::contains("settings.episodes (2 → 3)"));
    place
        .run(&[
            "adapt",
            "a",
            "--config",
            "target.toml",
            "--shots",
            "1000",
            "--out",
            "s",
        ])
        .failure()
        .stderr(predicate::str::contains("1000 of each class"));
}

#[test]
fn all_but_the_trained_keep_their_bits_in_both_executors() {
    let place = trained();
    for executor in ["fused", "torch"] {
        let text = format!("{TARGET}[training]\nexecutor = \"{executor}\"\n");
        fs::write(place.path("target.toml"), text).unwrap();
        let arguments = [
            "adapt",
            "a",
            "b",
            "--config",
            "target.toml",
            "--shots",
            "4",
            "--episodes",
            "1",
            "--train",
            "head,descriptors,all",
            "--save-models",
            "--out",
            executor,
        ];
        place.run(&arguments).success();
        let report = report(&place.path(executor));
        for result in &report.episodes {
            let index = usize::from(result.model == "b");
            let folder = format!("{executor}/models/{}-k4-m{index}-e0", result.part);
            let last = |run: &str| place.checkpoints(run).pop().unwrap();
            let before = tensors(&place.path(&result.model), &last(&result.model));
            let after = tensors(&place.path(&folder), &last(&folder));
            let changed = changed(&before, &after);
            let expected = |name: &String| match result.part {
                TrainedPart::Head => is_head(name),
                TrainedPart::Descriptors => is_head(name) || is_descriptor(name),
                TrainedPart::All => true,
            };
            assert!(changed.iter().all(expected), "{folder}: {changed:?}");
            assert!(
                changed
                    .iter()
                    .any(|name| name.ends_with("to_logits.weight"))
            );
            let codes = changed.iter().any(|name| is_descriptor(name));
            assert_eq!(codes, result.part != TrainedPart::Head, "{folder}");

            // The folder is that of a run.
            let found = format!("test accuracy {:.6}", result.accuracy);
            place
                .run(&["eval", "--run", &folder])
                .success()
                .stdout(predicate::str::contains(found));
        }
    }
}

fn is_head(name: &str) -> bool {
    name.starts_with("model.to_logits.") || name.starts_with("model.output_tokenizer.")
}

fn is_descriptor(name: &str) -> bool {
    name.ends_with("codes_") || name.ends_with("signatures_") || name == "model.latents"
}

/// Names of the model's tensors that are not the same to the bit.
fn changed(before: &BTreeMap<String, Tensor>, after: &BTreeMap<String, Tensor>) -> Vec<String> {
    let model = |name: &&String| name.starts_with("model.");
    assert_eq!(
        before.keys().filter(model).collect::<Vec<_>>(),
        after.keys().filter(model).collect::<Vec<_>>()
    );
    let bits = |tensor: &Tensor| -> Vec<u8> {
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        bytes
    };
    let names = before.keys().filter(model);
    names
        .filter(|name| bits(&before[*name]) != bits(&after[*name]))
        .cloned()
        .collect()
}

#[cfg(unix)]
#[test]
fn a_killed_adaptation_goes_on_and_ends_with_the_same_files() {
    let place = trained();
    let arguments = |out: &'static str| {
        [
            "adapt",
            "a",
            "b",
            "--config",
            "target.toml",
            "--save-models",
            "--resume",
            "--out",
            out,
        ]
    };
    place.run(&arguments("whole")).success();
    let kills = place.kill_until_done(&arguments("killed"), "killed/parts", 3);
    assert!(kills >= 3, "{kills}");
    assert_eq!(files(&place.path("whole")), files(&place.path("killed")));
}
