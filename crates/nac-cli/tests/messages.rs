//! What `nac` says when something is wrong: once, by the user's own words, with what to do. Whole texts, so that a
//! change of one is seen.
#![allow(clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;

use std::fs;

use place::Place;
use predicates::prelude::*;

fn says(place: &Place, command: &str, text: &str) {
    let arguments: Vec<&str> = command.split(' ').collect();
    place
        .run(&arguments)
        .code(1)
        .stderr(format!("error: {text}\n"));
}

#[test]
fn folders_that_cannot_be_used_say_what_to_do() {
    let place = Place::new();
    place
        .run(&["train", "--config", "tiny.toml", "--out", "a"])
        .success();
    fs::create_dir(place.path("b")).unwrap();
    fs::write(place.path("b/x"), "mine").unwrap();
    for (command, text) in [
        (
            "train --config tiny.toml --out a",
            "a: holds a run; nothing was changed. Use --resume to go on with it, or another --out",
        ),
        (
            "train --config tiny.toml --out b",
            "b: holds files that are no run; nothing was changed. Use another --out",
        ),
        // Who resumes already is not told to.
        (
            "train --config tiny.toml --resume --out b",
            "b: holds files, but no run to go on with; nothing was changed. Use another --out",
        ),
        (
            "train --config tiny.toml --resume --out a --set seed=4",
            "a: the run was started with other settings; these differ: seed (0 → 4). Resume without them, or start a \
             new run with another --out",
        ),
        (
            "train --resume --out c",
            "c: there is no run in this folder (no config.toml)",
        ),
        (
            "eval --run c",
            "c: there is no run in this folder (no config.toml)",
        ),
        (
            "export --run b --out d",
            "b: there is no run in this folder (no config.toml)",
        ),
        (
            "predict c x.png",
            "c: there is no run in this folder (no config.toml)",
        ),
        (
            "weights check tiny.toml --run c",
            "c: there is no run in this folder (no config.toml)",
        ),
        (
            "train",
            "give --config FILE, or --resume --out DIR to go on with a run",
        ),
        (
            "train --config missing.toml",
            "cannot read missing.toml: No such file or directory (os error 2)",
        ),
    ] {
        says(&place, command, text);
    }
    assert_eq!(fs::read(place.path("b/x")).unwrap(), b"mine");
}

#[test]
fn settings_are_named_by_the_users_own_key() {
    let place = Place::new();
    for (set, text) in [
        (
            "model.circuit.state_dim=0",
            "model.circuit.state_dim = 0: must be at least 1",
        ),
        (
            "model.circuit.propagator.attention.heads=0",
            "model.circuit.propagator.attention.heads = 0: must be at least 1",
        ),
        (
            "model.circuit.propagator.attention.kernel.bandwidth=0",
            "model.circuit.propagator.attention.kernel.bandwidth = 0: must be a positive number",
        ),
        (
            "model.circuit.mod_fc.scale_dropout=1",
            "model.circuit.mod_fc.scale_dropout = 1: must be at least 0 and below 1",
        ),
        (
            "model.circuit.drop_path=1",
            "model.circuit.drop_path = 1: must be at least 0 and below 1",
        ),
        (
            "model.circuit.read_in.drop_path=2",
            "model.circuit.read_in.drop_path = 2: must be at least 0 and below 1",
        ),
        (
            "model.circuit.modules=100000000",
            "model.circuit.modules = 100000000: must be at most 1048576",
        ),
        (
            "model.circuit.propagators=9223372036854775807",
            "model.circuit.propagators = 9223372036854775807: must be at most 4096",
        ),
        (
            "training.steps=9223372036854775807",
            "training.steps = 9223372036854775807: must be at most 9007199254740992",
        ),
        (
            "threads=2147483648",
            "threads = 2147483648: must be at most 4096",
        ),
        (
            "training.validation_examples=5000",
            "training.validation_examples = 5000: must leave some of the 1437 training examples",
        ),
        (
            "training.batch_size=many",
            "--set training.batch_size=many: invalid type: string \"many\", expected usize",
        ),
    ] {
        says(
            &place,
            &format!("train --config tiny.toml --out z --set {set}"),
            text,
        );
        assert!(!place.path("z").exists(), "{set}");
    }
}

/// Sizes within their ranges that no machine has the memory for: named by the key at fault, before anything is built.
#[test]
fn what_does_not_fit_into_memory_is_named() {
    let place = Place::new();
    says(
        &place,
        "train --config tiny.toml --out z --set model.circuit.modules=1000000",
        "model.circuit.modules = 1000000: [loss.graph_prior] compares all pairs of modules, of at most 16384",
    );
    for set in [
        "model.circuit.state_dim=131072",
        "model.convnext.dims=[131072]",
    ] {
        let command = format!("train --config tiny.toml --out z --set {set}");
        let arguments: Vec<&str> = command.split(' ').collect();
        let (key, value) = set.split_once('=').unwrap();
        place.run(&arguments).code(1).stderr(
            predicate::str::starts_with(format!("error: {key} = {value}: training needs at least"))
                .and(predicate::str::contains("of memory are free")),
        );
        assert!(!place.path("z").exists(), "{set}");
    }
}

#[test]
fn threads_are_limited_by_the_machine() {
    let place = Place::new();
    for (key, value) in [("threads", "4000"), ("training.workers", "4000")] {
        let set = format!("{key}={value}");
        place
            .run(&[
                "train",
                "--config",
                "tiny.toml",
                "--out",
                "z",
                "--set",
                &set,
            ])
            .code(1)
            .stderr(
                predicate::str::starts_with(format!("error: {key} = {value}: must be at most"))
                    .and(predicate::str::ends_with("processors\n")),
            );
    }
}
