//! `nac weights` and the functions behind it, on files that PyTorch wrote and on hostile ones.
//!
//! The files and the script that makes them are in `tests/fixtures/pt`.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use nac_modules::params::TensorFile;
use nac_pytorch::weights::{Format, inspect, read, write};
use predicates::prelude::*;
use proptest::prelude::{ProptestConfig, any, proptest};
use support::all_goldens;
use tch::{Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../nac-pytorch/tests/fixtures/pt")
        .join(name)
}

fn nac(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> assert_cmd::assert::Assert {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("nac"));
    command
        .arg("weights")
        .args(arguments.iter().map(|a| a.as_ref()));
    command.assert()
}

/// Kind, shape and bytes of every tensor: equality of floats would call -0.0 and 0.0 the same.
fn exact(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, (Kind, Vec<i64>, Vec<u8>)> {
    let exact = |(name, tensor): (&String, &Tensor)| {
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
        (name.clone(), (tensor.kind(), tensor.size(), bytes))
    };
    tensors.iter().map(exact).collect()
}

fn expected(name: &str) -> BTreeMap<String, (Kind, Vec<i64>, Vec<u8>)> {
    exact(&TensorFile::read(&fixture(name)).unwrap().tensors)
}

/// A zip archive as torch.save writes it, with these entries below `model/`.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("model/{name}"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// `{"w": tensor}` in float32 over a storage of `count` elements.
fn pickle(count: u32, shape: &[u32], stride: &[u32]) -> Vec<u8> {
    let int = |value: u32| [&[0x8a, 5][..], &value.to_le_bytes(), &[0]].concat();
    let tuple = |sizes: &[u32]| {
        let inner: Vec<u8> = sizes.iter().flat_map(|&size| int(size)).collect();
        [b"(".as_slice(), &inner, b"t"].concat()
    };
    [
        &b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"[..],
        b"X\x01\0\0\x000X\x03\0\0\0cpu",
        &int(count),
        b"tQK\0",
        &tuple(shape),
        &tuple(stride),
        b"\x89}tRs.",
    ]
    .concat()
}

#[test]
fn files_of_pytorch_are_read_bit_for_bit() {
    for (file, key, values) in [
        ("kinds.pt", None, "kinds.safetensors"),
        ("protocol3.pt", None, "kinds.safetensors"),
        ("protocol4.pt", None, "kinds.safetensors"),
        ("protocol5.pt", None, "kinds.safetensors"),
        ("views.pt", None, "views.safetensors"),
        ("nested.pt", Some("model"), "nested_model.safetensors"),
        (
            "nested.pt",
            Some("state_dict_ema"),
            "nested_ema.safetensors",
        ),
        ("plain.pt", Some("model"), "plain_model.safetensors"),
    ] {
        let weights = read(&fixture(file), key).unwrap();
        assert_eq!(weights.key, key.unwrap_or_default());
        assert_eq!(exact(&weights.tensors), expected(values), "{file}");
    }
    let parameter = read(&fixture("parameter.pt"), None).unwrap();
    assert_eq!(parameter.tensors["weight"].size(), [2, 2]);
}

/// Averaged models (`torch.optim.swa_utils`) hold a counter beside the weights.
#[test]
fn weights_of_an_averaged_model_are_taken_without_its_counter() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (fixture("averaged.pt"), folder.path().join("a.safetensors"));
    let convert: &[&dyn AsRef<std::ffi::OsStr>] =
        &[&"convert", &input, &output, &"--strip-prefix", &"module."];
    nac(convert)
        .failure()
        .stderr(predicate::str::contains("--drop n_averaged"));
    assert!(!output.exists());
    nac(&[convert, &[&"--drop", &"n_averaged"]].concat()).success();
    assert_eq!(
        exact(&TensorFile::read(&output).unwrap().tensors),
        expected("averaged_module.safetensors")
    );
}

#[test]
fn plain_values_beside_weights_are_listed() {
    let listed = [
        "dtype: torch.bfloat16",
        "quantization: torch.per_tensor_affine",
        "layout: torch.strided",
        "phase: 1.5-2j",
        "mask: 3 bytes",
    ];
    let mut assert = nac(&[&"inspect", &fixture("plain.pt")]).success();
    for line in listed {
        assert = assert.stdout(predicate::str::contains(line));
    }
}

#[test]
fn what_we_write_is_what_pytorch_was_seen_to_read() {
    // `make.py` loads this file with `weights_only=True` and compares it bit for bit.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.pt");
    let tensors = read(&fixture("kinds.safetensors"), None).unwrap().tensors;
    write(&path, &tensors, Format::Torch, false).unwrap();
    assert_eq!(
        fs::read(path).unwrap(),
        fs::read(fixture("written.pt")).unwrap()
    );
}

#[test]
fn every_key_of_a_nested_file_is_listed() {
    for key in [None, Some("optimizer")] {
        let error = read(&fixture("nested.pt"), key).unwrap_err().to_string();
        assert!(
            error.contains("available: model, state_dict_ema"),
            "{error}"
        );
    }
    let error = read(&fixture("kinds.safetensors"), Some("model"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("available: (all, without --key)"), "{error}");
    let contents = inspect(&fixture("nested.pt")).unwrap();
    assert_eq!(contents.metadata["epoch"], "3");
    assert_eq!(contents.metadata["large"], "1180591620717411303424");
    assert_eq!(contents.metadata["raw"], "2 bytes");
    assert_eq!(contents.parts[0].elements(), 6 + 2 + 4 * 2 + 1);
}

#[test]
fn code_in_a_file_is_refused_by_name() {
    for (file, part) in [
        (
            "bad_os_system.pt",
            "data.pkl, byte 2: `posix.system` is refused",
        ),
        ("bad_eval.pt", "`builtins.eval` is refused"),
        (
            "bad_whole_module.pt",
            "`torch.nn.modules.container.Sequential` is refused",
        ),
        ("bad_legacy.pt", "PyTorch's old format"),
    ] {
        nac(&[&"inspect", &fixture(file)])
            .failure()
            .stderr(predicate::str::contains(part).and(predicate::str::contains(file)));
    }
}

#[test]
fn hostile_archives_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pt");
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path, None).unwrap_err().to_string()
    };
    let (fine, data) = (pickle(6, &[2, 3], &[3, 1]), [0_u8; 24]);
    fs::write(&path, archive(&[("data.pkl", &fine), ("data/0", &data)])).unwrap();
    assert_eq!(read(&path, None).unwrap().tensors["w"].size(), [2, 3]);

    let huge = pickle(6, &[u32::MAX, u32::MAX], &[0, 0]);
    let expanded = pickle(6, &[100_000, 1000], &[0, 0]);
    let beyond = pickle(6, &[2, 3], &[4, 1]);
    for (pickle, data, part) in [
        (
            &fine,
            &data[..23],
            "storage data/0 has 23 bytes, 24 are announced",
        ),
        (
            &fine,
            &[0; 32][..],
            "storage data/0 has 32 bytes, 24 are announced",
        ),
        (&huge, &data, "too many elements"),
        (&expanded, &data, "more than 16777216 bytes"),
        (&beyond, &data, "reaches beyond its storage of 6 elements"),
    ] {
        let message = error(&archive(&[("data.pkl", pickle), ("data/0", data)]));
        assert!(
            message.contains(part) && message.contains("file.pt"),
            "{message}"
        );
    }
    for (entries, part) in [
        (vec![("data.pkl", &fine[..])], "data/0"),
        (vec![("other", &fine[..])], "no <folder>/data.pkl"),
        (
            vec![("data.pkl", &fine[..]), ("constants.pkl", b"")],
            "TorchScript",
        ),
        (
            vec![("data.pkl", &fine[..]), ("byteorder", b"middle")],
            "byte order \"middle\"",
        ),
        (vec![("data.pkl", &b"\x80\x02}."[..])], "holds no tensors"),
        (vec![("data.pkl", &b"\x80\x02K\x05."[..])], "holds an int"),
        (
            vec![("data.pkl", &b"\x80\x02}q\0X\x01\0\0\0ah\0s."[..])],
            "`a` is a dict",
        ),
    ] {
        let message = error(&archive(&entries));
        assert!(message.contains(part), "{message}");
    }
    let whole = fs::read(fixture("kinds.pt")).unwrap();
    for length in [4, 100, whole.len() / 2, whole.len() - 1] {
        let message = error(&whole[..length]);
        assert!(message.contains("not a whole zip archive"), "{message}");
    }
    let mut flipped = archive(&[("data.pkl", &fine), ("data/0", &data)]);
    let at = flipped
        .windows(24)
        .position(|window| window == data)
        .unwrap();
    flipped[at] = 1;
    assert!(error(&flipped).contains("damaged"));
}

#[test]
fn big_ends_are_turned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.pt");
    let data: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|x| x.to_be_bytes())
        .collect();
    let pickle = pickle(2, &[2], &[1]);
    let entries = [
        ("data.pkl", &pickle[..]),
        ("byteorder", b"big"),
        ("data/0", &data),
    ];
    fs::write(&path, archive(&entries)).unwrap();
    assert_eq!(
        read(&path, None).unwrap().tensors["w"],
        Tensor::from_slice(&[1.5_f32, -2.0])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn damaged_files_never_panic(file in 0_usize..3, at: usize, byte: u8, cut in any::<Option<u16>>()) {
        let name = ["views.pt", "nested.pt", "kinds.safetensors"][file];
        let mut bytes = fs::read(fixture(name)).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(cut) = cut {
            bytes.truncate(usize::from(cut));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        let _ = inspect(&path);
        let _ = read(&path, Some("model"));
    }
}

#[test]
fn every_recording_survives_the_way_to_pytorch_and_back() {
    let Some(goldens) = all_goldens("round trip of all goldens") else {
        return;
    };
    let mut files = 0;
    for entry in fs::read_dir(goldens).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "safetensors")
        {
            continue;
        }
        let parameters = TensorFile::read(&path).unwrap().tensors.into_iter();
        let parameters: BTreeMap<String, Tensor> = parameters
            .filter(|(name, _)| name.starts_with("param."))
            .collect();
        if !parameters.is_empty() {
            round_trip(&parameters);
            files += 1;
        }
    }
    assert!(files > 0, "no recording with parameters");
}

/// safetensors → our store's form → safetensors → .pt → safetensors.
fn round_trip(tensors: &BTreeMap<String, Tensor>) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (first, torch, last) = (
        place("1.safetensors"),
        place("2.pt"),
        place("3.safetensors"),
    );
    write(&first, tensors, Format::Safetensors, false).unwrap();
    let read_back = read(&first, None).unwrap().tensors;
    write(&torch, &read_back, Format::Torch, false).unwrap();
    let from_torch = read(&torch, None).unwrap().tensors;
    write(&last, &from_torch, Format::Safetensors, false).unwrap();
    assert_eq!(exact(&from_torch), exact(tensors));
    assert_eq!(fs::read(&first).unwrap(), fs::read(&last).unwrap());
}

const SETTINGS: &str = r#"
device = "cpu"
[data]
name = "cifar10"
[model.convnext]
dims = [16]
depths = [1]
[model.circuit]
modules = 8
read_out_modules = 4
state_dim = 16
signature_dim = 8
propagators = 2
propagator.attention = { heads = 2, head_dim = 8 }
"#;

#[test]
fn a_whole_model_goes_both_ways_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("tiny.toml"), SETTINGS).unwrap();
    let config = nac_train::config::load(&place("tiny.toml"), &[]).unwrap();
    let store = nac_modules::params::ParamStore::new(tch::Device::Cpu, Kind::Float, 3);
    let input = nac_modules::model::InputSpec::image(3, 32, 32);
    let mut model = nac_modules::model::build_model(
        store,
        &config.model,
        &input,
        &nac_modules::model::OutputSpec::classes(10),
    )
    .unwrap();
    let weights = model.params().export().unwrap();
    round_trip(&weights);

    // Out to PyTorch and back into another model.
    write(&place("a.pt"), &weights, Format::Torch, false).unwrap();
    nac(&[&"convert", &place("a.pt"), &place("b.safetensors")])
        .success()
        .stdout(predicate::str::contains("written as safetensors"));
    let back = read(&place("b.safetensors"), None).unwrap().tensors;
    model.params_mut().import("b", &back).unwrap();
    assert_eq!(exact(&model.params().export().unwrap()), exact(&weights));
    nac(&[&"convert", &place("a.pt"), &place("b.safetensors")])
        .failure()
        .stderr(predicate::str::contains("b.safetensors exists"));
    nac(&[&"convert", &place("a.pt"), &place("c.bin")])
        .failure()
        .stderr(predicate::str::contains("--to"));
    nac(&[&"convert", &place("a.pt"), &place("c.bin"), &"--to", &"pt"]).success();

    let check = |file: &str| nac(&[&"check", &place(file), &"--config", &place("tiny.toml")]);
    check("a.pt")
        .success()
        .stdout(predicate::str::contains("fit the model nac"));
    let mut wrong = weights;
    let logits = wrong
        .keys()
        .find(|name| name.ends_with("weight"))
        .unwrap()
        .clone();
    wrong.insert("surplus".into(), Tensor::from_slice(&[1.0_f32]));
    let gone = wrong.pop_first().unwrap().0;
    wrong.insert(logits.clone(), Tensor::from_slice(&[1.0_f32]));
    write(&place("wrong.pt"), &wrong, Format::Torch, false).unwrap();
    check("wrong.pt").failure().stderr(
        predicate::str::contains(format!("missing (1): {gone}"))
            .and(predicate::str::contains("unexpected (1): surplus"))
            .and(predicate::str::contains(format!(
                "wrong shape (1): {logits}"
            ))),
    );
    let prefixed = back
        .into_iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor));
    write(&place("ddp.pt"), &prefixed.collect(), Format::Torch, false).unwrap();
    check("ddp.pt").failure();
    let arguments: [&dyn AsRef<std::ffi::OsStr>; 6] = [
        &"check",
        &place("ddp.pt"),
        &"--config",
        &place("tiny.toml"),
        &"--strip-prefix",
        &"module.",
    ];
    nac(&arguments).success();
    // Without it, the error says what is between the names.
    nac(&arguments[..4])
        .failure()
        .stderr(predicate::str::contains("--strip-prefix module."));
}

#[test]
fn a_checkpoint_of_a_run_is_listed_by_parts_and_exported_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step-00000001.safetensors");
    let mut checkpoint = nac_train::checkpoint::Checkpoint::default();
    checkpoint
        .model
        .insert("a.weight".into(), Tensor::from_slice(&[1.0_f32, 2.0]));
    checkpoint
        .optimizer
        .insert("m.a.weight".into(), Tensor::from_slice(&[0.0_f32, 0.0]));
    fs::write(&path, checkpoint.to_bytes().unwrap()).unwrap();
    nac(&[&"inspect", &path]).success().stdout(
        predicate::str::contains("--key model")
            .and(predicate::str::contains("--key optim"))
            .and(predicate::str::is_match(r"a\.weight +\[2\] +f32 +8 bytes").unwrap())
            .and(predicate::str::contains("1 tensors, 2 parameters, 8 bytes")),
    );
    let exported = folder.path().join("model.pth");
    nac(&[&"convert", &path, &exported]).success();
    assert_eq!(
        exact(&read(&exported, None).unwrap().tensors),
        exact(&checkpoint.model)
    );
    let state = read(&path, Some("optim")).unwrap();
    assert_eq!(exact(&state.tensors), exact(&checkpoint.optimizer));
    let error = read(&path, Some("loss")).unwrap_err().to_string();
    assert!(error.contains("available: model, optim"), "{error}");
}
