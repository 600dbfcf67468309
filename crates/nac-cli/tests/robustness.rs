//! `nac robustness` from the outside: the digits under corruption, and a few images in the layout of Tiny-ImageNet with
//! renditions.
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::fs;
use std::path::Path;

use nac_train::robustness::{Condition, RobustnessReport};
use place::Place;
use predicates::prelude::*;

/// A circuit, `a`, and Perceiver IO, `b`, on the digits.
fn trained() -> Place {
    let place = Place::new();
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
            ])
            .success();
    }
    place
}

fn report(folder: &Path) -> RobustnessReport {
    serde_json::from_str(&fs::read_to_string(folder.join("results.json")).unwrap()).unwrap()
}

#[test]
fn corruptions_are_those_of_eval_and_means_are_over_them() {
    let place = trained();
    let arguments = [
        "robustness",
        "a",
        "b",
        "--kinds",
        "gaussian_noise,jpeg",
        "--severities",
        "1,5",
    ];
    place
        .run(&[&arguments[..], &["--out", "r"]].concat())
        .success()
        .stdout(predicate::str::contains("digits, 360 images"))
        .stdout(predicate::str::contains("relative drop"));
    let found = report(&place.path("r"));
    assert_eq!(
        (
            found.examples,
            found.conditions.len(),
            found.summaries.len()
        ),
        (360, 10, 2)
    );
    for result in &found.conditions {
        let mut arguments = vec!["eval".to_owned(), "--run".into(), result.model.clone()];
        if let Condition::Corrupted { kind, severity } = &result.condition {
            arguments.extend(["--corruption".into(), format!("{}:{severity}", kind.name())]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let expected = format!(
            "accuracy {:.6} loss {:.6} examples 360",
            result.accuracy, result.loss
        );
        place
            .run(&arguments)
            .success()
            .stdout(predicate::str::contains(expected));
    }
    for summary in &found.summaries {
        let own = found
            .conditions
            .iter()
            .filter(|result| result.model == summary.model);
        let corrupted = own.filter(|result| result.condition != Condition::Clean);
        let sum: f64 = corrupted.map(|result| result.accuracy).sum();
        assert!((summary.corrupted - sum / 4.0).abs() < 1e-12);
        assert!((summary.drop - (summary.clean - summary.corrupted)).abs() < 1e-12);
        assert_eq!((summary.by_kind.len(), summary.renditions), (2, None));
    }
    let lines = |name: &str| {
        fs::read_to_string(place.path("r").join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((lines("conditions.csv"), lines("summary.csv")), (11, 3));

    // nac-engine computes the same up to rounding, of which a decision hardly ever depends.
    place
        .run(&[&arguments[..], &["--engine", "core", "--out", "c"]].concat())
        .success();
    for (ours, theirs) in report(&place.path("c"))
        .conditions
        .iter()
        .zip(&found.conditions)
    {
        assert!(
            (ours.accuracy - theirs.accuracy).abs() < 0.01,
            "{ours:?} {theirs:?}"
        );
    }
    place
        .run(&["robustness", "a", "--severities", "6", "--out", "x"])
        .failure()
        .stderr(predicate::str::contains("severities = [6]"));
    place
        .run(&[
            "train",
            "--config",
            "tiny.toml",
            "--out",
            "c5",
            "--set",
            "data.classes=[0,1,2,3,4]",
        ])
        .success();
    place
        .run(&["robustness", "a", "c5", "--out", "x"])
        .failure()
        .stderr(predicate::str::contains(
            "not the test images of the first run",
        ));
}

#[cfg(unix)]
#[test]
fn a_killed_program_goes_on_and_ends_with_the_same_results() {
    let place = trained();
    let arguments = |out| {
        [
            "robustness",
            "a",
            "b",
            "--limit",
            "50",
            "--resume",
            "--out",
            out,
        ]
    };
    place.run(&arguments("whole")).success();
    let kills = place.kill_until_done(&arguments("killed"), "killed/parts", 20);
    assert!(kills >= 2, "{kills}");
    for name in ["results.json", "conditions.csv", "summary.csv"] {
        let [whole, killed] = ["whole", "killed"].map(|out| fs::read(place.path(out).join(name)));
        assert_eq!(whole.unwrap(), killed.unwrap(), "{name}");
    }
    assert_eq!(
        report(&place.path("whole")).conditions.len(),
        2 * (1 + 9 * 5)
    );
}

/// Classes that Tiny-ImageNet and ImageNet-R share.
const SHARED: [&str; 3] = ["n01443537", "n01770393", "n01882714"];

/// Writes an image of one colour.
fn picture(path: &Path, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut bytes = b"P6\n64 64\n255\n".to_vec();
    bytes.extend(colour.repeat(64 * 64));
    fs::write(path, bytes).unwrap();
}

#[test]
fn renditions_are_answered_among_their_classes() {
    let place = Place::new();
    let tiny = place.path("data/tiny-imagenet-200");
    let mut annotations = String::new();
    for (class, id) in SHARED.iter().enumerate() {
        let colour = |shade: usize| [(80 * class + shade) as u8; 3];
        for shade in 0..5 {
            picture(
                &tiny.join(format!("train/{id}/images/{shade}.ppm")),
                colour(shade),
            );
        }
        picture(&tiny.join(format!("val/images/{id}.ppm")), colour(7));
        annotations += &format!("{id}.ppm\t{id}\t0\t0\t9\t9\n");
        picture(
            &place.path(&format!("data/tiny-imagenet-r/{id}/a.ppm")),
            colour(9),
        );
    }
    fs::write(tiny.join("val/val_annotations.txt"), annotations).unwrap();
    fs::write(tiny.join("wnids.txt"), SHARED.join("\n")).unwrap();
    let arguments = |more: &[&'static str]| [more, &["--data-dir", "data"]].concat();
    place
        .run(&arguments(&[
            "train",
            "--config",
            "tiny.toml",
            "--out",
            "a",
            "--set",
            "data.name=tiny-imagenet",
            "--set",
            "training.steps=2",
            "--set",
            "training.batch_size=4",
            "--set",
            "training.validation_examples=3",
        ]))
        .success();
    let robustness = [
        "robustness",
        "a",
        "--kinds",
        "jpeg",
        "--severities",
        "3",
        "--out",
    ];
    place
        .run(&arguments(&[&robustness[..], &["r"]].concat()))
        .success();
    let found = report(&place.path("r"));
    assert_eq!(found.conditions.len(), 3);
    let renditions = &found.conditions[2];
    assert_eq!(
        renditions.condition,
        Condition::Renditions {
            dataset: "tiny-imagenet-r".into()
        }
    );
    assert_eq!(renditions.examples, 3);
    assert_eq!(found.summaries[0].renditions, Some(renditions.accuracy));
    // Of 62 classes, hardly trained: near the loss of guessing among them, and not among 200.
    let guessing = |classes: f64| (renditions.loss - classes.ln()).abs();
    assert!(guessing(62.0) < guessing(200.0), "{}", renditions.loss);

    fs::remove_dir_all(place.path("data/tiny-imagenet-r")).unwrap();
    place
        .run(&arguments(&[&robustness[..], &["s"]].concat()))
        .success()
        .stderr(
            predicate::str::contains("tiny-imagenet-r is left out")
                .and(predicate::str::contains("zenodo")),
        );
    assert_eq!(report(&place.path("s")).summaries[0].renditions, None);
}
