//! The program `nac-predict` from the outside, on exports with random weights.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nac_core::model::{Column, InputKind, InputSpec, ModelFile, OutputSpec, Preprocessing, Preset};
use nac_engine::{CoreEngine, EngineOptions};
use predicates::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

struct Place(tempfile::TempDir);

impl Place {
    /// A folder with the export `model` of this form.
    fn new(inputs: InputSpec, output: OutputSpec, how: &[(&str, Preprocessing)]) -> Self {
        let mut file = Preset::get("cpu-digits").unwrap().file;
        (file.inputs, file.output) = (inputs, output);
        file.preprocessing = how
            .iter()
            .map(|(n, p)| ((*n).to_owned(), p.clone()))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let place = Self(folder);
        place.export(&file);
        place
    }

    fn texts() -> Self {
        let kind = InputKind::Tokens {
            vocabulary: 257,
            max_len: 64,
            pad: 0,
        };
        let output = OutputSpec::named(["good", "bad", "ugly"]);
        Self::new(
            InputSpec::new("tokens", kind),
            output,
            &[("tokens", Preprocessing::Bytes {})],
        )
    }

    fn export(&self, file: &ModelFile) {
        let (_, weights) = CoreEngine::random(file.clone(), 3, EngineOptions::default()).unwrap();
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
            .iter()
            .map(|(name, shape)| {
                let values = weights.get(name).unwrap().1.iter();
                let values = values.flat_map(|value| value.to_le_bytes()).collect();
                (name.to_owned(), shape.to_vec(), values)
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, values)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), values).unwrap();
            (name.as_str(), view)
        });
        fs::create_dir(self.path("model")).unwrap();
        let weights = safetensors::serialize(views, None).unwrap();
        fs::write(self.path("model/model.safetensors"), weights).unwrap();
        fs::write(self.path("model/model.toml"), file.to_toml().unwrap()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn predict(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("nac-predict"));
        command
            .current_dir(self.0.path())
            .arg("model")
            .args(arguments);
        assert_cmd::Command::from_std(command).assert()
    }

    fn json(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let done = self.predict(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[test]
fn an_unreadable_file_among_many_is_named_and_the_others_are_answered() {
    let place = Place::texts();
    fs::write(place.path("a.txt"), "first").unwrap();
    fs::write(place.path("empty.txt"), "").unwrap();
    fs::write(place.path("b.txt"), "second").unwrap();
    let files = ["a.txt", "empty.txt", "missing.txt", "b.txt"];
    place
        .predict(&files)
        .code(1)
        .stdout(predicate::str::is_match("^a.txt:  \\w+ \\d+.\\d %.*\nb.txt:  \\w+ ").unwrap())
        .stderr(
            predicate::str::contains("empty.txt: the text is empty")
                .and(predicate::str::contains("missing.txt"))
                .and(predicate::str::contains("2 of 4 could not be read")),
        );
    let lines = place.json(&files);
    let inputs: Vec<&str> = lines
        .iter()
        .map(|line| line["input"].as_str().unwrap())
        .collect();
    assert_eq!(inputs, files);
    assert!(lines[1]["error"].as_str().unwrap().contains("empty"));
    assert!(lines[2]["error"].is_string() && lines[0]["error"].is_null());
    let confidence = lines[3]["confidence"].as_f64().unwrap();
    assert!((1.0 / 3.0..=1.0).contains(&confidence), "{confidence}");
    place.predict(&["a.txt", "b.txt"]).success();
}

#[test]
fn texts_are_given_as_they_are_or_in_a_file() {
    let place = Place::texts();
    fs::write(place.path("a.txt"), "fine").unwrap();
    let lines = place.json(&[
        "--input",
        "tokens=fine",
        "--input",
        "tokens=@a.txt",
        "--top",
        "2",
    ]);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["top"], lines[1]["top"]);
    assert_eq!(lines[0]["top"].as_array().unwrap().len(), 2);
    assert_eq!(lines[0]["class"], lines[0]["top"][0]["class"]);
    assert_eq!(
        (&lines[0]["input"], &lines[1]["input"]),
        (&"fine".into(), &"a.txt".into())
    );
    for (arguments, part) in [
        (
            &["--input", "image=a.png"][..],
            "`image`; the model reads tokens",
        ),
        (&[], "give files"),
        (&["--input", "tokens"], "NAME=VALUE"),
    ] {
        place
            .predict(arguments)
            .failure()
            .stderr(predicate::str::contains(part));
    }
}

#[test]
fn each_row_of_a_table_is_an_example() {
    let features = InputKind::Features {
        items: 2,
        dim: 1,
        padded: false,
    };
    let column = |name: &str| Column {
        name: name.into(),
        mean: 0.5,
        std: 2.0,
    };
    let columns = Preprocessing::Columns {
        columns: vec![column("x"), column("y")],
    };
    let one = InputSpec::new("features", features);
    let place = Place::new(one, OutputSpec::values(2), &[("features", columns)]);
    fs::write(place.path("t.csv"), "y,label,x\n1,a,2\n3,b,4\n1,a,2\n").unwrap();
    let lines = place.json(&["t.csv"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (lines[2]["row"].as_u64(), &lines[2]["values"]),
        (Some(3), &lines[0]["values"])
    );
    assert_ne!(lines[1]["values"], lines[0]["values"]);
    assert_eq!(
        place.json(&["t.csv", "--batch", "1", "--threads", "2"]),
        lines
    );
    fs::write(place.path("bad.csv"), "y,x\n1,2\n3,none\n").unwrap();
    let text = "bad.csv: line 3: column `x` is `none`";
    place
        .predict(&["bad.csv"])
        .failure()
        .stderr(predicate::str::contains(text));
}
