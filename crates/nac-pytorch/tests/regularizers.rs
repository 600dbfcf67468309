//! Parity with recordings of the authors' code: graph-prior regularizers, repulsion and distribution of
//! signatures, scheduled values. Values and gradients, in `float32` and `float64`.
//!
//! A few recordings lie beside the tests; all others are read from the folder `NAC_GOLDENS_DIR`. Matchings are
//! compared by their cost, and the term itself at the recorded matching, since several may be the best.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nac_core::prior::{PlantedPartition, RingOfCliques, ScaleFree, WattsStrogatz};
use nac_core::{GraphPrior, PriorConfig};
use nac_modules::attention::{KernelConfig, SignatureKernel};
use nac_modules::params::{ParamStore, TensorFile};
use nac_train::loss::{Mixture, PriorDistance, Reduction, match_modules, mixture_nll, repulsion};
use nac_train::scheduled::{ScheduledValue, ValueSchedule};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A tensor may differ by this many times the recording's own rounding noise …
const NOISE_FACTOR: f64 = 4.0;
/// … plus this share of its largest value.
const FLOOR: f64 = 2e-6;

struct Recording {
    name: String,
    tensors: BTreeMap<String, Tensor>,
    facts: Value,
    kind: Kind,
}

impl Recording {
    fn read(folder: &Path, name: &str, kind: Kind) -> Self {
        let tensors = TensorFile::read(&folder.join(format!("{name}.safetensors")))
            .unwrap()
            .tensors;
        let facts = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        Self {
            name: name.to_owned(),
            tensors,
            facts: serde_json::from_str(&facts).unwrap(),
            kind,
        }
    }

    fn config(&self) -> &Value {
        &self.facts["config"]
    }

    /// A setting in our own words, which are the recorded ones here; absent: the default.
    fn setting<T: DeserializeOwned + Default>(&self, key: &str) -> T {
        match &self.config()[key] {
            Value::Null => T::default(),
            value => serde_json::from_value(value.clone()).unwrap(),
        }
    }

    fn input(&self, key: &str) -> Option<Tensor> {
        let tensor = self.tensors.get(&format!("in.{key}"))?;
        Some(tensor.to_kind(self.kind).detach().set_requires_grad(true))
    }

    fn all_signatures(&self) -> (Vec<(String, Tensor)>, Tensor) {
        let sets = ["input", "mediator", "output"].map(|set| format!("{set}_signatures"));
        let sets: Vec<(String, Tensor)> = sets
            .into_iter()
            .filter_map(|key| self.input(&key).map(|tensor| (key, tensor)))
            .collect();
        let parts: Vec<&Tensor> = sets.iter().map(|(_, tensor)| tensor).collect();
        let joined = Tensor::cat(&parts, 0);
        (sets, joined)
    }

    fn check(&self, key: &str, ours: &Tensor) {
        let recorded = self.tensors[key].to_kind(Kind::Double);
        assert_eq!(ours.size(), recorded.size(), "{} {key}", self.name);
        let noise = self.facts["f32_vs_f64"][key]["max_abs_err"]
            .as_f64()
            .unwrap_or(0.0);
        let largest = recorded.abs().max().double_value(&[]);
        let error = (ours.to_kind(Kind::Double) - recorded)
            .abs()
            .max()
            .double_value(&[]);
        let allowed = NOISE_FACTOR * noise + FLOOR * largest;
        println!(
            "{:?} {} {key}: {:.2e}",
            self.kind,
            self.name,
            error / largest.max(1e-300)
        );
        assert!(
            error <= allowed,
            "{:?} {} {key}: {error:e}, allowed {allowed:e}",
            self.kind,
            self.name
        );
    }

    /// Checks loss and gradients of all inputs.
    fn check_loss(&self, loss: &Tensor, inputs: &[(String, Tensor)]) {
        self.check("out.loss", loss);
        loss.backward();
        for (key, input) in inputs {
            let gradient = input.grad();
            self.check(&format!("grad.in.{key}"), &gradient);
        }
        let recorded = self
            .tensors
            .keys()
            .filter(|key| key.starts_with("grad.in."))
            .count();
        assert_eq!(recorded, inputs.len(), "{}", self.name);
    }
}

/// The prior that a recording's configuration asks for.
fn prior(config: &Value) -> Box<dyn GraphPrior> {
    let size = |key: &str| config[key].as_u64().unwrap() as usize;
    match config["kind"].as_str().unwrap() {
        "sbm" => {
            let usual = PlantedPartition::default();
            Box::new(PlantedPartition {
                clusters: size("num_clusters"),
                p_in: config["p_in"].as_f64().unwrap_or(usual.p_in),
                p_out: config["p_out"].as_f64().unwrap_or(usual.p_out),
            })
        }
        "ba" => Box::new(ScaleFree {}),
        "roc" => Box::new(RingOfCliques {
            cliques: size("num_clusters"),
            ..Default::default()
        }),
        "ws" => Box::new(WattsStrogatz {
            k: size("k"),
            p: config["p"].as_f64().unwrap(),
            symmetric: false,
        }),
        other => panic!("no prior for {other}"),
    }
}

/// The kernel that a recording's configuration asks for.
fn kernel_config(config: &Value, bandwidth: f64, learnable: bool) -> KernelConfig {
    let mut ours = serde_json::Map::new();
    for (key, value) in config["kernel"].as_object().unwrap() {
        let key = match key.as_str() {
            "learnable_bandwidth" => continue,
            "stochastic_kernel" => "stochastic",
            "stochastic_sampling_temperature" => "temperature",
            other => other,
        };
        ours.insert(key.to_owned(), value.clone());
    }
    KernelConfig {
        bandwidth,
        learnable_bandwidth: learnable,
        ..serde_json::from_value(Value::Object(ours)).unwrap()
    }
}

fn graph_prior(recording: &Recording) {
    let config = recording.config();
    let (inputs, signatures) = recording.all_signatures();
    let modules = signatures.size()[0] as usize;
    let graphon = prior(config).link_probabilities(modules).unwrap();
    let graphon = Tensor::from_slice(graphon.as_slice().unwrap()).view([modules as i64; 2]);
    recording.check("out.sampled_graphon", &graphon);
    let distance = PriorDistance {
        loss_type: recording.setting("loss_type"),
        clip: recording.setting("clip"),
    };

    let unique = config["kernel_is_unique"].as_bool().unwrap();
    let bandwidths: Vec<f64> = match recording.tensors.get("in.bandwidths") {
        Some(bandwidths) => Vec::try_from(bandwidths.to_kind(Kind::Double)).unwrap(),
        None => vec![1.0],
    };
    let mut store = ParamStore::new(Device::Cpu, recording.kind, 0);
    let mut loss = Tensor::zeros([], (recording.kind, Device::Cpu));
    for (place, &bandwidth) in bandwidths.iter().enumerate() {
        let suffix = if unique {
            String::new()
        } else {
            format!(".{place}")
        };
        let settings = kernel_config(config, bandwidth, !unique);
        let kernel =
            SignatureKernel::new(store.root().sub(format!("k{place}")), &settings).unwrap();
        let links = kernel.link_probability(&signatures, &signatures).unwrap();
        recording.check(&format!("out.link_probability{suffix}"), &links);
        let noise = recording.tensors.get("noise.n.randn").map(|normal| {
            normal.to_kind(Kind::Double) * config["multiplicative_matching_noise"].as_f64().unwrap()
        });
        let matching = match_modules(&graphon, &links, noise.as_ref()).unwrap();
        recording.check(&format!("out.cost_matrix{suffix}"), &matching.costs);
        let cost = Tensor::from(matching.cost);
        recording.check(&format!("out.assignment_cost{suffix}"), &cost);
        let assignment = &recording.tensors[&format!("out.assignment_input_idx{suffix}")];
        let permuted = format!("out.permuted_link_probability{suffix}");
        if recording.tensors.contains_key(&permuted) {
            let ours = links
                .index_select(0, assignment)
                .index_select(1, assignment);
            recording.check(&permuted, &ours);
        }
        loss += distance.value(&links, &graphon, assignment).unwrap();
    }
    let mut inputs = inputs;
    if unique {
        recording.check_loss(&loss, &inputs);
        return;
    }
    // Gradients of the bandwidths are those of the kernels' parameters.
    recording.check("out.loss", &loss);
    loss.backward();
    let gradients: Vec<Tensor> = store
        .parameters()
        .map(|(_, bandwidth)| bandwidth.grad())
        .collect();
    recording.check("grad.in.bandwidths", &Tensor::stack(&gradients, 0));
    for (key, input) in inputs.drain(..) {
        recording.check(&format!("grad.in.{key}"), &input.grad());
    }
}

fn hinge_repulsion(recording: &Recording) {
    let (inputs, signatures) = recording.all_signatures();
    let config = recording.config();
    let loss = repulsion(
        &signatures,
        config["hinge"].as_f64().unwrap(),
        config["kernel"]["truncation"].as_f64(),
        recording.setting::<Reduction>("reduction"),
    );
    recording.check_loss(&loss.unwrap(), &inputs);
}

fn distribution(recording: &Recording) {
    let (inputs, signatures) = recording.all_signatures();
    let part = |name: &str| {
        let part = &recording.tensors[&format!("param.component_{name}")];
        Vec::<f64>::try_from(part.to_kind(Kind::Double).flatten(0, -1)).unwrap()
    };
    let mixture = Mixture::new(part("weights"), part("means"), part("sigmas")).unwrap();
    let loss = mixture_nll(&signatures, &mixture, recording.setting("reduction")).unwrap();
    recording.check_loss(&loss, &inputs);
}

fn schedules(recording: &Recording) {
    let (start, stop) = (1.0, 0.1);
    for (key, schedule) in [
        ("out.linear", ValueSchedule::Linear { start, stop }),
        (
            "out.exponential",
            ValueSchedule::Exponential {
                start,
                stop,
                beta: 5.0,
            },
        ),
    ] {
        let value = |tenth: i32| ScheduledValue::Changing(schedule).at(f64::from(tenth) / 10.0);
        let values: Vec<f64> = (0..=10).map(value).collect();
        recording.check(key, &Tensor::from_slice(&values));
    }
}

type Compare = fn(&Recording);

/// Compares with every recording of these kinds in a folder, in both precisions; says how many there were.
fn compare_all(folder: &Path) -> usize {
    let kinds: [(&str, Compare); 4] = [
        ("h_reg_", graph_prior),
        ("h_hinge_repulsion_", hinge_repulsion),
        ("h_sigdist_reg_", distribution),
        ("h_schedules", schedules),
    ];
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(".safetensors")?.to_owned())
        })
        .collect();
    names.sort();
    let mut compared = 0;
    for name in names {
        for (_, compare) in kinds.iter().filter(|(prefix, _)| name.starts_with(prefix)) {
            for kind in [Kind::Float, Kind::Double] {
                compare(&Recording::read(folder, &name, kind));
            }
            compared += 1;
        }
    }
    compared
}

fn full_set(what: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(folder));
    }
    let line = format!("SKIPPED: {what} (set NAC_GOLDENS_DIR to the full set of recordings)");
    eprintln!("{line}");
    if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
    None
}

#[test]
fn recordings_beside_the_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    assert_eq!(compare_all(&folder), 10);
}

#[test]
fn all_recordings() {
    if let Some(folder) = full_set("comparison of all regularizers") {
        assert!(compare_all(&folder) >= 28);
    }
}

#[test]
fn the_graph_part_of_the_training_objective() {
    let name = "g_objective_chonker_small_train";
    let Some(folder) = full_set(&format!("comparison with {name}")) else {
        return;
    };
    let recording = Recording::read(&folder, name, Kind::Float);
    let signatures = &recording.tensors["param.latent_graphs.0.mediator_latents.signatures_"];
    let graphon = PriorConfig::from_name("scale-free")
        .unwrap()
        .link_probabilities(32)
        .unwrap();
    let graphon = Tensor::from_slice(graphon.as_slice().unwrap()).view([32, 32]);
    let mut store = ParamStore::new(Device::Cpu, Kind::Float, 0);
    let kernel = SignatureKernel::new(store.root().sub("k"), &KernelConfig::default()).unwrap();
    let links = kernel.link_probability(signatures, signatures).unwrap();
    let assignment = &recording.tensors["out.assignment_input_idx"];
    let value = PriorDistance::default()
        .value(&links, &graphon, assignment)
        .unwrap();
    recording.check("out.loss_graph_sparsity", &value);
    // The best matching is as good as the recorded one.
    let matching = match_modules(&graphon, &links, None).unwrap();
    let index = Tensor::arange(32, (Kind::Int64, Device::Cpu)) * 32 + assignment;
    let recorded = matching
        .costs
        .flatten(0, 1)
        .index_select(0, &index)
        .sum(Kind::Double);
    let recorded = recorded.double_value(&[]);
    assert!(
        (matching.cost - recorded).abs() <= 1e-6 * recorded,
        "{} {recorded}",
        matching.cost
    );
}
