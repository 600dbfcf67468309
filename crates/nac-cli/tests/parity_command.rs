//! `nac parity` from the outside, on a few small goldens; on all of them where `NAC_GOLDENS_DIR` says where they are.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use support::all_goldens;

const MOD_FC: &str = "a_modfc_ln_chonker";

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nac-pytorch/tests/goldens")
}

/// A folder with copies of these goldens, and an index that is not one.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        for extension in ["json", "safetensors"] {
            let file = format!("{name}.{extension}");
            fs::copy(goldens().join(&file), folder.path().join(&file)).unwrap();
        }
    }
    fs::write(folder.path().join("INDEX.json"), "{}").unwrap();
    folder
}

fn parity(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("nac").unwrap();
    command.arg("parity").arg(folder);
    command
}

/// Changes one value of a tensor in a safetensors file of `f32` by `change`.
fn perturb(file: &Path, tensor: &str, change: f32) {
    let mut bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let at = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) + change;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

#[test]
fn known_recordings_pass_in_both_precisions() {
    let names = [
        MOD_FC,
        "c_kernel_sample_log_T0.5",
        "h_schedules",
        "h_graphon_sbm_n64_c4",
    ];
    let folder = folder(&names);
    for kind in ["float", "double"] {
        parity(folder.path())
            .args(["--kind", kind])
            .assert()
            .success()
            .stdout(predicate::str::contains(
                "4 cases: 4 pass, 0 fail, 0 unsupported, 0 error",
            ));
    }
    let only = ["--only", "kernel", "--kind", "bfloat16"];
    let one = predicate::str::contains("1 cases: 1 pass");
    parity(folder.path())
        .args(only)
        .assert()
        .success()
        .stdout(one);
}

#[test]
fn the_name_decides_nothing() {
    let folder = folder(&[MOD_FC]);
    for extension in ["json", "safetensors"] {
        let from = folder.path().join(format!("{MOD_FC}.{extension}"));
        fs::rename(from, folder.path().join(format!("h_graph_x.{extension}"))).unwrap();
    }
    let line = predicate::str::is_match(r"h_graph_x .* pass").unwrap();
    parity(folder.path()).assert().success().stdout(line);
}

#[test]
fn a_changed_value_fails_forward_and_backward() {
    for (tensor, change) in [
        ("out.y", 1e-3),
        ("grad.param.scale.weight", 1e-3),
        ("in.x", 1e-2),
    ] {
        let folder = folder(&[MOD_FC]);
        let file = folder.path().join(format!("{MOD_FC}.safetensors"));
        perturb(&file, tensor, change);
        let line =
            predicate::str::contains("FAIL: ").and(predicate::str::contains("0 pass, 1 fail"));
        parity(folder.path()).assert().failure().stdout(line);
    }
}

#[test]
fn unusable_recordings_are_told_and_the_others_run() {
    let folder = folder(&[MOD_FC, "h_schedules", "h_graphon_sbm_n64_c4"]);
    let at = |file: &str| folder.path().join(file);
    let bytes = fs::read(at("h_schedules.safetensors")).unwrap();
    fs::write(at("h_schedules.safetensors"), &bytes[..bytes.len() - 5]).unwrap();
    fs::remove_file(at("h_graphon_sbm_n64_c4.json")).unwrap();
    fs::copy(
        at(&format!("{MOD_FC}.safetensors")),
        at("no_class.safetensors"),
    )
    .unwrap();
    fs::write(at("no_class.json"), r#"{"config": {"in_features": 12}}"#).unwrap();
    fs::copy(at("no_class.safetensors"), at("too_large.safetensors")).unwrap();
    let huge = r#"{"config": {"cls": "ModFC", "in_features": 1000000000}}"#;
    fs::write(at("too_large.json"), huge).unwrap();
    parity(folder.path())
        .assert()
        .failure()
        .stdout(predicate::str::contains(
            "config.in_features = 1000000000 is more than",
        ))
        .stdout(predicate::str::contains(
            "h_schedules.safetensors: not a usable safetensors file",
        ))
        .stdout(
            predicate::str::contains("cannot read")
                .and(predicate::str::contains("h_graphon_sbm_n64_c4.json")),
        )
        .stdout(predicate::str::contains(
            "ERROR: the configuration has no `cls`",
        ))
        .stdout(predicate::str::contains(
            "5 cases: 1 pass, 0 fail, 0 unsupported, 4 error",
        ));
    let stop = predicate::str::contains("2 cases: 1 pass, 0 fail, 0 unsupported, 1 error");
    parity(folder.path())
        .arg("--fail-fast")
        .assert()
        .failure()
        .stdout(stop);
}

#[test]
fn options_that_we_lack_are_unsupported_and_fail_only_if_strict() {
    let folder = folder(&["a_modfc_ln_inputnorm_l2", MOD_FC]);
    let at = |file: &str| folder.path().join(file);
    fs::copy(at(&format!("{MOD_FC}.safetensors")), at("z.safetensors")).unwrap();
    fs::write(
        at("z.json"),
        r#"{"config": {"cls": "HyperFC", "in_features": 12}}"#,
    )
    .unwrap();
    let text =
        predicate::str::contains("unsupported: scale_times_input_normalization_type = \"l2\"")
            .and(predicate::str::contains("cls = \"HyperFC\""))
            .and(predicate::str::contains(
                "3 cases: 1 pass, 0 fail, 2 unsupported, 0 error",
            ));
    parity(folder.path()).assert().success().stdout(text);
    parity(folder.path()).arg("--strict").assert().failure();
}

#[test]
fn json_holds_every_case_and_tensor() {
    let folder = folder(&[MOD_FC, "a_modfc_ln_inputnorm_l2"]);
    let file = folder.path().join("results.txt");
    parity(folder.path())
        .arg("--json")
        .arg(&file)
        .assert()
        .success();
    let json: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        (&json["engine"], &json["device"], &json["kind"]),
        (&"torch".into(), &"cpu".into(), &"float".into())
    );
    let totals = serde_json::json!({"pass": 1, "fail": 0, "unsupported": 1, "error": 0});
    assert_eq!(json["totals"], totals);
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(
        (&cases[0]["case"], &cases[0]["status"]),
        (&MOD_FC.into(), &"pass".into())
    );
    assert!(cases[0].get("reason").is_none());
    assert_eq!(cases[1]["status"], "unsupported");
    assert!(
        cases[1]["reason"]
            .as_str()
            .unwrap()
            .contains("scale_times_input_normalization_type")
    );
    // Where nothing differs at all, a single number is as near to its limit of a little over 10⁻⁵ as the others.
    for (field, limit) in [("forward", 1e-5), ("gradients", 1e-5), ("allowed", 2e-5)] {
        let number = cases[0][field].as_f64().unwrap();
        assert!((0.0..limit).contains(&number), "{field} {number}");
    }
    let tensors = cases[0]["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 8, "2 outputs, 6 gradients");
    for tensor in tensors {
        let number = |name: &str| tensor[name].as_f64().unwrap();
        assert!(
            number("error") <= number("allowed") && number("largest") > 0.0,
            "{tensor}"
        );
        let direction = tensor["direction"].as_str().unwrap();
        assert_eq!(
            direction == "gradient",
            tensor["tensor"].as_str().unwrap().starts_with("grad.")
        );
    }
}

#[test]
fn the_engine_of_nac_core_is_held_to_the_same_values() {
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nac-pytorch/tests/goldens");
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("core.json");
    parity(&layers)
        .args(["--engine", "core", "--json"])
        .arg(&file)
        .assert()
        .success()
        .stdout(
            predicate::str::contains(" 0 fail, ")
                .and(predicate::str::contains(" 0 error; core, float, cpu"))
                .and(
                    predicate::str::is_match(r"(?m)^forward only: \d+ recorded gradients").unwrap(),
                ),
        );
    let json: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(json["engine"], "core");
    let mut passed = Vec::new();
    for case in json["cases"].as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        if case["status"] == "pass" {
            let tensors = case["tensors"].as_array().unwrap();
            // Fitting signatures to a graph is nac-core's on both executors, gradients included.
            let forward = tensors.iter().all(|t| t["direction"] == "forward");
            assert!(forward || name.starts_with("h_preset"), "{name}");
            assert!(!tensors.is_empty(), "{name}");
            passed.push(name);
            continue;
        }
        let reason = case["reason"].as_str().unwrap();
        let known = [
            "engine core runs evaluation only",
            "needs a source of noise",
            "only the scale is normalised",
        ];
        assert!(
            known.iter().any(|known| reason.contains(known)),
            "{name}: {reason}"
        );
    }
    for kind in [
        "a_fc_bias",
        "a_modfc_ln_chonker",
        "a_wmodfc_bias",
        "b_modffn_geglu_chonker",
        "c_kernel_threshold_eval",
        "d_kmla_mask_trunc0.9_masked_h4",
        "e_readinattn_sharedkv_h4",
        "e_projectionreadin",
        "f_convnext_atto_3stage_oddsize",
        "f_latents_initial_states_identical_complete",
        "f_pool_vanilla_t1",
        "f_posgrid",
        "f_propagator_chonker",
        "f_readout_head_chonkerlike",
        "f_seeder_layered_codes",
        "g_full_chonker_small_eval",
        "g_perceiverio_bchw",
    ] {
        assert!(passed.contains(&kind), "{kind} is not among {passed:?}");
    }
}

#[test]
fn the_engine_of_nac_core_fails_on_a_changed_value_and_leaves_training_out() {
    let core = ["--engine", "core"];
    for (tensor, change) in [("out.y", 1e-3), ("param.scale.weight", 1e-1)] {
        let folder = folder(&[MOD_FC]);
        let file = folder.path().join(format!("{MOD_FC}.safetensors"));
        perturb(&file, tensor, change);
        let line = predicate::str::contains("0 pass, 1 fail");
        parity(folder.path())
            .args(core)
            .assert()
            .failure()
            .stdout(line);
    }
    let folder = folder(&[
        "c_kernel_sample_log_T0.5",
        "h_schedules",
        "h_graphon_sbm_n64_c4",
    ]);
    let text = predicate::str::contains("schedule of a weight: engine core runs evaluation only")
        .and(predicate::str::contains(
            "3 cases: 2 pass, 0 fail, 1 unsupported",
        ));
    parity(folder.path())
        .args(core)
        .assert()
        .success()
        .stdout(text);
    let double =
        predicate::str::contains("kind = double: engines fused and core compute in float only");
    let kind = ["--kind", "double"];
    parity(folder.path())
        .args(core)
        .args(kind)
        .assert()
        .failure()
        .stderr(double);
}

#[test]
fn a_folder_without_recordings_and_a_bad_choice_are_errors() {
    let empty = tempfile::tempdir().unwrap();
    let none = predicate::str::contains("holds no goldens");
    parity(empty.path()).assert().failure().stderr(none);
    let absent = predicate::str::contains("cannot read").and(predicate::str::contains("absent"));
    parity(&empty.path().join("absent"))
        .assert()
        .failure()
        .stderr(absent);
    let only = predicate::str::contains("only = xyz: no golden's name contains this");
    let folder = folder(&[MOD_FC]);
    parity(folder.path())
        .args(["--only", "xyz"])
        .assert()
        .failure()
        .stderr(only);
}

#[test]
fn the_whole_set_passes_in_both_precisions() {
    let Some(goldens) = all_goldens("comparison with all goldens") else {
        return;
    };
    let done = || predicate::str::contains(" 0 fail, ").and(predicate::str::contains(" 0 error;"));
    for kind in ["float", "double"] {
        parity(&goldens)
            .args(["--kind", kind])
            .assert()
            .success()
            .stdout(done());
    }
    parity(&goldens)
        .args(["--engine", "core"])
        .assert()
        .success()
        .stdout(done());
}
