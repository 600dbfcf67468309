//! What guards the comparison itself: goldens worked out by hand must pass, and every way of breaking one must fail.
//!
//! Files are written and changed here byte by byte; nothing of the crate's reading is used.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use nac_pytorch::parity::{CaseReport, Engine, Options, Status, run_folder};
use serde_json::{Map, Value, json};
use tch::Kind;

struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn new(name: &str, shape: &[usize], values: &[f32]) -> Self {
        Self {
            name: name.to_owned(),
            dtype: "F32".to_owned(),
            shape: shape.to_vec(),
            bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    /// The first value, of `f32`.
    fn first(&self) -> f32 {
        f32::from_le_bytes(self.bytes[..4].try_into().unwrap())
    }

    fn set_first(&mut self, value: f32) {
        self.bytes[..4].copy_from_slice(&value.to_le_bytes());
    }
}

struct Golden {
    metadata: Value,
    tensors: Vec<Tensor>,
}

impl Golden {
    fn new(metadata: Value, tensors: &[(&str, &[usize], &[f32])]) -> Self {
        let tensors = tensors
            .iter()
            .map(|(name, shape, values)| Tensor::new(name, shape, values));
        Self {
            metadata,
            tensors: tensors.collect(),
        }
    }

    /// One beside the tests.
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
        let bytes = fs::read(path.join(format!("{name}.safetensors"))).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
        let tensors = header.iter().filter(|(name, _)| *name != "__metadata__");
        let tensors = tensors.map(|(name, entry)| {
            let field = |key: &str| entry[key].clone();
            let [from, to]: [usize; 2] = serde_json::from_value(field("data_offsets")).unwrap();
            Tensor {
                name: name.clone(),
                dtype: serde_json::from_value(field("dtype")).unwrap(),
                shape: serde_json::from_value(field("shape")).unwrap(),
                bytes: bytes[start + from..start + to].to_vec(),
            }
        });
        let text = fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
        Self {
            tensors: tensors.collect(),
            metadata: serde_json::from_str(&text).unwrap(),
        }
    }

    fn tensor(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|t| t.name == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    /// Adds to the first value of a tensor.
    fn nudge(mut self, name: &str, change: f32) -> Self {
        let tensor = self.tensor(name);
        tensor.set_first(tensor.first() + change);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|t| t.name != name);
        self
    }

    fn set(mut self, pointer: &str, value: Value) -> Self {
        *self.metadata.pointer_mut(pointer).unwrap() = value;
        self
    }

    fn write(&self, folder: &Path) {
        let mut header = Map::new();
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            let from = data.len();
            data.extend(&tensor.bytes);
            let entry = json!({
                "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [from, data.len()],
            });
            header.insert(tensor.name.clone(), entry);
        }
        let header = serde_json::to_vec(&header).unwrap();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(data);
        fs::write(folder.join("case.safetensors"), bytes).unwrap();
        fs::write(folder.join("case.json"), self.metadata.to_string()).unwrap();
    }

    fn run(&self, engine: Engine, kind: Kind) -> CaseReport {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        let options = Options {
            engine,
            kind,
            ..Options::default()
        };
        let report = run_folder(folder.path(), &options, &mut |_| {}).unwrap();
        report.cases.into_iter().next().unwrap()
    }

    fn torch(&self) -> CaseReport {
        self.run(Engine::Torch, Kind::Float)
    }
}

/// On both executors, in both dtypes.
fn passes(golden: &Golden) {
    for (engine, kind) in [
        (Engine::Torch, Kind::Float),
        (Engine::Torch, Kind::Double),
        (Engine::Core, Kind::Float),
    ] {
        let report = golden.run(engine, kind);
        assert_eq!(
            report.status,
            Status::Pass,
            "{engine:?} {:?}",
            report.reason
        );
    }
}

fn fails(golden: &Golden, part: &str) {
    let report = golden.torch();
    let reason = report.reason.unwrap_or_default();
    assert!(
        report.status.is_failure() && reason.contains(part),
        "{reason}"
    );
}

/// `W_c c = (1, −1)`, whose layer norm is `±r` with `r = 1/√(1 + 10⁻⁵)`; the scale is `1 ± r/2`.
fn mod_fc() -> Golden {
    let r = 1.0 / (1.0_f64 + 1e-5).sqrt();
    let y = 2.0 * (1.0 + r / 2.0) + 3.0 * 2.0 * (1.0 - r / 2.0) + 0.25;
    let y = y as f32;
    let config = json!({
        "cls": "ModFC", "in_features": 2, "out_features": 1, "context_features": 2,
        "add_one_to_scale": true, "scale_gain": 0.5,
    });
    let gradient = 2.0 * y; // the loss is y²
    Golden::new(
        json!({"config": config, "mode": "eval"}),
        &[
            ("in.x", &[1, 1, 2], &[1.0, 2.0]),
            ("in.context", &[1, 1, 2], &[1.0, 0.0]),
            ("param.scale.weight", &[2, 2], &[1.0, 0.0, -1.0, 0.0]),
            ("param.native_weight", &[1, 2], &[2.0, 3.0]),
            ("param.native_bias", &[1], &[0.25]),
            ("out.y", &[1, 1, 1], &[y]),
            ("out.loss", &[], &[y * y]),
            ("grad.param.native_bias", &[1], &[gradient]),
        ],
    )
}

#[test]
fn a_mod_fc_by_hand() {
    passes(&mod_fc());
    fails(&mod_fc().nudge("out.y", 1e-3), "differs by");
    fails(
        &mod_fc().set("/config/add_one_to_scale", json!(false)),
        "differs by",
    );
}

/// The same with groups between batch and modules; the code is one for all.
#[test]
fn leading_dimensions_are_kept() {
    let mut golden = mod_fc();
    golden.tensor("in.x").shape = vec![1, 1, 1, 2];
    golden.tensor("in.context").shape = vec![1, 2];
    golden.tensor("out.y").shape = vec![1, 1, 1, 1];
    passes(&golden);
    golden.tensor("out.y").shape = vec![1, 1, 1];
    fails(&golden, "out.y: shape");
}

/// Distances 0, 1 and 2 of unit vectors; bandwidth ½.
#[test]
fn a_kernel_by_hand() {
    let log = [0.0_f32, -2.0, -4.0];
    let golden = Golden::new(
        json!({"config": {"cls": "DotProductKernel", "initial_bandwidth": 0.5, "learnable_bandwidth": false}}),
        &[
            ("in.receiver_signatures", &[1, 2], &[3.0, 0.0]),
            (
                "in.sender_signatures",
                &[3, 2],
                &[1.0, 0.0, 0.0, 2.0, -1.0, 0.0],
            ),
            ("param.bandwidth", &[], &[0.5]),
            ("out.distance", &[1, 3], &[0.0, 1.0, 2.0]),
            ("out.log_kernel", &[1, 3], &log),
            ("out.kernel", &[1, 3], &log.map(f32::exp)),
        ],
    );
    passes(&golden);
    fails(&golden.nudge("out.kernel", 1e-4), "out.kernel differs by");
}

/// Two clusters of two modules.
#[test]
fn a_graphon_by_hand() {
    let (i, o) = (0.75_f32, 0.25_f32);
    let blocks = [i, i, o, o, i, i, o, o, o, o, i, i, o, o, i, i];
    let config = json!({"kind": "sbm", "N": 4, "num_clusters": 2, "p_in": 0.75, "p_out": 0.25});
    let golden = Golden::new(
        json!({"config": config}),
        &[("out.sampled_graphon", &[4, 4], &blocks)],
    );
    passes(&golden);
    fails(
        &golden.nudge("out.sampled_graphon", -0.5),
        "sampled_graphon",
    );
}

#[test]
fn changed_values_gradients_and_inputs_fail() {
    let golden = || Golden::read("a_modfc_ln_chonker");
    passes(&golden());
    fails(&golden().nudge("out.y", 1e-3), "out.y");
    let name = "grad.param.scale.weight";
    fails(&golden().nudge(name, 1e-3), name);
    fails(&golden().nudge("in.x", 1e-2), "differs");
    fails(&golden().nudge("param.scale_gain", 1e-2), "differs");
}

#[test]
fn a_value_that_nobody_computes_fails() {
    let mut golden = Golden::read("a_modfc_ln_chonker");
    golden.tensors.push(Tensor::new("out.z", &[1], &[0.0]));
    fails(&golden, "out.z: in the golden, but not compared");
}

#[test]
fn a_wrong_shape_fails() {
    let mut golden = Golden::read("a_modfc_ln_chonker");
    golden.tensor("out.y").shape.insert(0, 1);
    fails(&golden, "out.y: shape");
}

#[test]
fn an_infinite_entry_must_be_the_same() {
    let mut golden = Golden::read("a_modfc_ln_chonker");
    golden.tensor("out.y").set_first(f32::NEG_INFINITY);
    fails(&golden, "differ in being infinite");
    golden.tensor("out.y").set_first(f32::NAN);
    fails(&golden, "NaN");
}

#[test]
fn missing_and_surplus_parameters_fail() {
    let golden = || Golden::read("a_modfc_ln_chonker");
    fails(&golden().without("param.scale_gain"), "scale_gain");
    let mut more = golden();
    more.tensors.push(Tensor::new("param.other", &[1], &[0.0]));
    fails(&more, "other");
}

/// Without its draws a sampled kernel cannot run; with a draw left over it did not do what was recorded.
#[test]
fn noise_must_be_there_and_be_used() {
    let golden = || Golden::read("c_kernel_sample_log_T0.5");
    passes(&golden());
    fails(
        &golden().nudge("noise.u_log_kernel.rand", 0.3),
        "log_kernel",
    );
    fails(&golden().without("noise.u_log_kernel.rand"), "noise");
    let none = golden().set("/noise_in_call_order", json!([]));
    assert!(none.torch().status.is_failure());
    let fixed = golden().set("/config/stochastic_kernel", json!(false));
    fails(&fixed, "not asked for");
}

#[test]
fn steps_of_the_optimizer_must_agree() {
    let golden = || Golden::read("g_adamw5_chonker_small_train");
    fails(&golden().set("/config/optimizer/lr", json!(2e-3)), "out.");
    fails(
        &golden().set("/config/optimizer/weight_decay", json!(0.0)),
        "out.final.",
    );
}
