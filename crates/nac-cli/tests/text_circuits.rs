//! A circuit that a text conditions, and its controls, from the command line: train, evaluate, export, predict.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/place.rs"]
mod place;

use std::fs;

use place::Place;

const SETTINGS: &str = r#"
name = "text"
device = "cpu"
threads = 1

[data]
name = "sort-of-clevr"
sort_of_clevr = { train = 48, validation = 24, test = 24 }

[model]
image_tokenizer = "conv-stem"
conv_stem = { widths = [8, 8], strides = [1, 1], pools = [4, 4], grid_dim = 4 }
embedding = { dim = 12, position_dim = 4 }
generator = { kind = "conditional", dim = 16, layers = 1, heads = 2, head_dim = 8 }
perceiver_io = { depth = 1, latents = 6, head_dim = 8 }

[model.circuit]
modules = 6
read_out_modules = 3
state_dim = 16
signature_dim = 6
propagators = 2
wiring.separate_read_in_modules = false
propagator.attention = { heads = 2, head_dim = 8 }
read_in.attention = { heads = 1, head_dim = 8 }
read_out.attention = { heads = 1, head_dim = 8 }

[baseline]
match = "parameters"
reference = "conditional"

[training]
steps = 6
batch_size = 12
evaluate_every = 0

[optimizer]
learning_rate = 2e-2

[loss]
graph_prior = { prior = { name = "scale-free" } }
circuit_spread = { weight = 0.01 }
"#;

/// The controls by the settings that make them.
const CONTROLS: [(&str, &[&str]); 6] = [
    ("codes", &["model.generator.signatures=false"]),
    ("signatures", &["model.generator.codes=false"]),
    (
        "free",
        &[
            "model.generator.kind=free",
            "model.unused_inputs=[\"question\"]",
        ],
    ),
    ("text-tokens", &["model.generator.kind=free"]),
    ("perceiver-io", &["model.kind=perceiver-io"]),
    ("bytes", &["data.sort_of_clevr.question=bytes"]),
];

fn train(place: &Place, folder: &str, settings: &[&str]) {
    let mut arguments = vec!["train", "--config", "text.toml", "--out", folder];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    place.run(&arguments).success();
}

fn parameters(place: &Place, folder: &str) -> usize {
    place.summary(folder).parameters
}

#[test]
fn all_controls_train_and_have_the_size_of_the_conditional_circuit() {
    let place = Place::new();
    fs::write(place.path("text.toml"), SETTINGS).unwrap();
    train(&place, "conditional", &[]);
    let target = parameters(&place, "conditional");
    for (name, settings) in CONTROLS {
        train(&place, name, settings);
        let found = parameters(&place, name);
        // A step of the width is a few parameters in a hundred at this size; bytes are more symbols than words.
        let near = found.abs_diff(target) * 12 < target;
        assert!(near || name == "bytes", "{name}: {found} against {target}");
    }
}

/// Logits of both engines lead to the same answers, and an export answers a picture and a sentence.
#[test]
fn a_run_is_evaluated_exported_and_asked() {
    let place = Place::new();
    fs::write(place.path("text.toml"), SETTINGS).unwrap();
    train(&place, "run", &[]);
    place
        .run(&["export", "--run", "run", "--out", "export"])
        .success();
    let evaluated = |engine: &[&str]| {
        let arguments = [&["eval", "--run", "run"], engine].concat();
        let run = place.run(&arguments).success();
        let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        let Some((accuracies, rest)) = text.split_once(" loss ") else {
            panic!("{text}")
        };
        let Some((loss, "24")) = rest.trim().split_once(" examples ") else {
            panic!("{text}")
        };
        (accuracies.to_owned(), loss.parse::<f64>().unwrap())
    };
    let torch = evaluated(&["--engine", "torch"]);
    let core = evaluated(&["--engine", "core", "--precision", "f32"]);
    assert_eq!(torch.0, core.0);
    assert!((torch.1 - core.1).abs() < 1e-4, "{torch:?} {core:?}");

    let mut picture = b"P6\n75 75\n255\n".to_vec();
    picture.extend((0..75 * 75 * 3).map(|at: u32| (at % 251) as u8));
    fs::write(place.path("picture.ppm"), picture).unwrap();
    let asked = |model: &str, questions: &[&str]| {
        let mut arguments = vec!["predict", model, "--json", "--input", "image=picture.ppm"];
        for question in questions {
            arguments.extend(["--input", question]);
        }
        let run = place.run(&arguments).success();
        let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let questions = [
        "question=is the red object on the left?",
        "question=what is the shape of the blue object?",
        "question=is the red object on the left?",
    ];
    let answers = asked("run", &questions);
    assert_eq!(answers.len(), 3);
    assert_eq!(asked("export", &questions), answers);
    assert_ne!(answers[0], answers[1]);
    assert_eq!(asked("run", &questions[..1]), answers[..1]);
}
