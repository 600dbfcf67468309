//! What `nac` does when files of a run are damaged, exchanged or not finite: it says so and never goes on with them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use nac_modules::params::TensorFile;
use nac_train::summary::RunSummary;
use predicates::prelude::*;
use predicates::str::contains;

const SETTINGS: &str = r#"
name = "small"
device = "cpu"
threads = 1

[data]
name = "image-folder"
path = "shapes"
image = { size = [16, 16] }

[model.convnext]
dims = [8]
depths = [1]

[model.circuit]
modules = 8
read_out_modules = 4
state_dim = 16
signature_dim = 8
propagators = 1
propagator.attention = { heads = 2, head_dim = 8 }

[training]
steps = 4
batch_size = 8
validation_examples = 12
checkpoint_every = 1
keep_checkpoints = 3
log_every = 2
"#;

/// A folder with images, settings and what is made of them.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        nac_data::sample::write(nac_data::sample::Sample::Images, &place.path("shapes")).unwrap();
        fs::write(place.path("small.toml"), SETTINGS).unwrap();
        place
    }

    /// With a finished run in `run`.
    fn trained() -> Self {
        let place = Self::new();
        place
            .nac(&["train", "--config", "small.toml", "--out", "run"])
            .success();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn nac(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        self.nac_in(self.0.path(), arguments)
    }

    fn nac_in(&self, folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("nac"));
        command.current_dir(folder).args(arguments);
        command.env("NAC_CACHE_DIR", self.path("cache"));
        command.env_remove("NAC_DATA_DIR").assert()
    }

    /// Every command that reads the run fails and says all `parts`; nothing is exported.
    fn all_refuse(&self, parts: &[&str]) {
        let image = self.image();
        for arguments in [
            &["eval", "--run", "run"][..],
            &["eval", "--run", "run", "--engine", "core"],
            &["export", "--run", "run", "--out", "export"],
            &["predict", "run", &image],
        ] {
            let run = self.nac(arguments).code(1);
            let text = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
            for part in parts {
                assert!(text.contains(part), "{arguments:?}: {part} in {text}");
            }
            assert!(run.get_output().stdout.is_empty(), "{arguments:?}");
        }
        assert!(!self.path("export").exists());
    }

    /// One of the images.
    fn image(&self) -> String {
        let mut entries = fs::read_dir(self.path("shapes/square")).unwrap();
        entries
            .next()
            .unwrap()
            .unwrap()
            .path()
            .display()
            .to_string()
    }

    /// As if the run had been killed before its end.
    fn unfinish(&self) {
        fs::remove_file(self.path("run/summary.json")).unwrap();
    }

    fn last(&self) -> PathBuf {
        self.path("run/checkpoints/step-00000004.safetensors")
    }

    fn summary(&self) -> RunSummary {
        let text = fs::read_to_string(self.path("run/summary.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn resume(&self) -> assert_cmd::assert::Assert {
        self.nac(&["train", "--resume", "--out", "run"])
    }
}

fn flip_bit(path: &Path, byte: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = byte(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn one_flipped_bit_in_a_checkpoint_stops_everything_that_reads_it() {
    let place = Place::trained();
    let (whole, test) = (fs::read(place.last()).unwrap(), place.summary().test);
    place.unfinish();
    let parts = [
        "step-00000004.safetensors: damaged",
        "newest whole one is",
        "step-00000003",
    ];
    for byte in [|len: usize| len - 3, |len: usize| len / 2, |_: usize| 300] {
        fs::write(place.last(), &whole).unwrap();
        flip_bit(&place.last(), byte);
        place.all_refuse(&parts);
        place
            .resume()
            .code(1)
            .stderr(contains(parts[0]).and(contains(parts[2])));
    }
    fs::write(place.last(), &whole[..whole.len() - 100]).unwrap();
    place.all_refuse(&parts);
    // The advice works, and the run ends as it did before.
    fs::remove_file(place.last()).unwrap();
    place.resume().success();
    assert_eq!(place.summary().test, test);
}

#[test]
fn damaged_settings_data_notes_and_summaries_are_named() {
    let place = Place::trained();
    for (file, arguments) in [
        ("config.toml", &["eval", "--run", "run"][..]),
        ("data.json", &["eval", "--run", "run"]),
        ("summary.json", &["train", "--resume", "--out", "run"]),
    ] {
        let path = place.path("run").join(file);
        let whole = fs::read(&path).unwrap();
        // A digit: the file stays readable.
        let digit = whole.iter().rposition(u8::is_ascii_digit).unwrap();
        flip_bit(&path, |_| digit);
        place
            .nac(arguments)
            .code(1)
            .stderr(contains(file).and(contains("damaged")));
        fs::write(&path, whole).unwrap();
    }
    place.nac(&["eval", "--run", "run"]).success();
    // Who changes settings on purpose is told how.
    let path = place.path("run/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("threads = 1", "threads = 2")).unwrap();
    let refused = place.nac(&["eval", "--run", "run"]).code(1);
    refused.stderr(contains("remove its line with `nac-sha256:`"));
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&path, rest.replace("threads = 1", "threads = 2")).unwrap();
    place.nac(&["eval", "--run", "run"]).success();
}

#[test]
fn damaged_exports_are_not_used() {
    let place = Place::trained();
    place
        .nac(&["export", "--run", "run", "--out", "export"])
        .success();
    let image = place.image();
    place.nac(&["predict", "export", &image]).success();
    for file in ["model.safetensors", "model.toml"] {
        let path = place.path("export").join(file);
        let whole = fs::read(&path).unwrap();
        flip_bit(&path, |len| len - 2);
        let refused = place.nac(&["predict", "export", &image]).code(1);
        refused.stderr(contains(file).and(contains("damaged")));
        fs::write(&path, whole).unwrap();
    }
    // Files of others have no digest, and are read.
    let path = place.path("export/model.safetensors");
    let file = TensorFile::read(&path).unwrap();
    let views = file.tensors.iter().map(|(name, tensor)| {
        let values: Vec<f32> = tensor.flatten(0, -1).try_into().unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        (name.clone(), shape, bytes)
    });
    let views: Vec<(String, Vec<usize>, Vec<u8>)> = views.collect();
    let views = views.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::F32;
        (
            name,
            safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    place.nac(&["predict", "export", &image]).success();
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let place = Place::trained();
    let other = ["--set", "loss.label_smoothing=0.2", "--out", "other"];
    place
        .nac(&[&["train", "--config", "small.toml"], &other[..]].concat())
        .success();
    let name = "checkpoints/step-00000004.safetensors";
    fs::copy(place.path("other").join(name), place.last()).unwrap();
    place.all_refuse(&[
        "step-00000004",
        "other settings",
        "loss.label_smoothing (0.2 → 0.0)",
    ]);
    place.unfinish();
    place
        .resume()
        .code(1)
        .stderr(contains("loss.label_smoothing (0.2 → 0.0)"));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let place = Place::trained();
    let mut file = TensorFile::read(&place.last()).unwrap();
    let bias = file
        .tensors
        .iter_mut()
        .find(|(name, _)| name.starts_with("model.") && name.ends_with(".bias"));
    let (name, bias) = bias.unwrap();
    let name = name.strip_prefix("model.").unwrap().to_owned();
    for value in [f64::NAN, f64::INFINITY] {
        let _ = bias.get(0).fill_(value);
    }
    fs::write(place.last(), file.to_bytes().unwrap()).unwrap();
    place.all_refuse(&[
        "step-00000004",
        &format!("`{name}` holds NaN or infinite values"),
    ]);
}

#[test]
fn resuming_without_a_checkpoint_says_so_and_starts_anew() {
    let place = Place::trained();
    let test = place.summary().test;
    place.unfinish();
    fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    place
        .resume()
        .success()
        .stderr(contains("no checkpoint to go on from"));
    assert_eq!(place.summary().test, test);
    // A run that goes on from a checkpoint does not say it.
    place.unfinish();
    place
        .resume()
        .success()
        .stderr(contains("no checkpoint").not());
}

#[test]
fn data_that_were_exchanged_stop_a_resumed_run() {
    let place = Place::trained();
    place.unfinish();
    let entries = fs::read_dir(place.path("shapes/square")).unwrap();
    let squares: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let whole = fs::read(&squares[0]).unwrap();
    fs::copy(&squares[1], &squares[0]).unwrap();
    let changed = contains("the data are not those that the run was started with");
    place
        .resume()
        .code(1)
        .stderr(changed.clone().and(contains("content")));
    fs::write(&squares[0], whole).unwrap();
    for square in &squares[40..] {
        fs::remove_file(square).unwrap();
    }
    let fewer = contains("training examples (").and(contains("test examples ("));
    place.resume().code(1).stderr(changed.and(fewer));
    assert!(!place.path("run/summary.json").exists());
    let warned = contains("warning: the data are not those");
    place
        .nac(&["eval", "--run", "run"])
        .success()
        .stderr(warned);
    // Before the first checkpoint as well.
    fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    place
        .resume()
        .code(1)
        .stderr(contains("training examples ("));
}

#[test]
fn a_run_folder_needs_neither_its_data_nor_its_place() {
    let place = Place::trained();
    let evaluated = |folder: &Path, run: &str| {
        let done = place.nac_in(folder, &["eval", "--run", run]).success();
        done.stderr(contains("warning").not())
            .get_output()
            .stdout
            .clone()
    };
    let here = evaluated(place.0.path(), "run");
    let elsewhere = tempfile::tempdir().unwrap();
    let run = place.path("run").display().to_string();
    assert_eq!(evaluated(elsewhere.path(), &run), here);
    // Settings may be given a new place of the same data.
    fs::rename(place.path("shapes"), place.path("moved")).unwrap();
    place.unfinish();
    let moved = ["--set", "data.path=\"moved\"", "--resume", "--out", "run"];
    place.nac(&[&["train"], &moved[..]].concat()).success();

    let image = place.path("image.png");
    let mut circles = fs::read_dir(place.path("moved/circle")).unwrap();
    fs::copy(circles.next().unwrap().unwrap().path(), &image).unwrap();
    fs::remove_dir_all(place.path("moved")).unwrap();
    let image = image.display().to_string();
    let predicted = |arguments: &[&str]| {
        let done = place.nac_in(elsewhere.path(), arguments).success();
        done.get_output().stdout.clone()
    };
    let answer = predicted(&["predict", &run, &image]);
    assert!(String::from_utf8_lossy(&answer).contains("circle"));
    place
        .nac_in(
            elsewhere.path(),
            &["export", "--run", &run, "--out", "export"],
        )
        .success();
    assert_eq!(predicted(&["predict", "export", &image]), answer);
}

#[test]
fn parameters_that_the_loss_does_not_reach_are_named_once() {
    let place = Place::new();
    let silent = ["--set", "model.convnext.layer_scale=0.0"];
    let train = |more: &[&str]| {
        let train = ["train", "--config", "small.toml", "--out", "run"];
        place.nac(&[&train[..], more].concat())
    };
    let name = "input_tokenizer.backbone.stages.0.0.dwconv.weight";
    train(&silent)
        .success()
        .stderr(contains("got no gradient").and(contains(name)));
    let without = place.summary().without_gradient;
    assert!(
        without.contains(&name.to_owned()) && without.len() == 8,
        "{without:?}"
    );
    // The note of the first step is kept; it is not said again.
    place.unfinish();
    fs::remove_file(place.last()).unwrap();
    place
        .resume()
        .success()
        .stderr(contains("got no gradient").not());
    assert_eq!(place.summary().without_gradient, without);
    fs::remove_dir_all(place.path("run")).unwrap();
    train(&[])
        .success()
        .stderr(contains("got no gradient").not());
    assert!(place.summary().without_gradient.is_empty());
}
