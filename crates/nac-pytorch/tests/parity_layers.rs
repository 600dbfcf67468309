//! Every option of projections, feed-forward blocks, kernels, attention, read-in, propagator and read-out
//! against recordings of the reference: values and gradients, in single and double precision.
//!
//! Layers are built from the configuration inside each recording, through the import, never from its name. The few recordings
//! that lie beside the tests run always, the full set where `NAC_GOLDENS_DIR` names it.
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use nac_modules::attention::{
    KernelConfig, ReadInAttention, SignatureKernel, Skmdpa, normalize_links, normalize_log_links,
};
use nac_modules::circuit::{ModuleStates, Propagator, ReadIn, ReadOut};
use nac_modules::context::{ForwardContext, Noise, RecordedNoise};
use nac_modules::layer::{DropPath, ModFcConfig, ModFfn, Projection};
use nac_modules::params::ParamStore;
use nac_modules::{ModuleError, Tokens};
use nac_pytorch::settings::{Imported, import};
use support::Recording;
use tch::{Device, Kind, Tensor};

/// Prefixes of the recordings this file answers for.
const FAMILIES: [&str; 7] = ["a_", "b_", "c_", "d_", "e_", "f_propagator", "f_readout"];
/// Options that are left out on purpose.
const NOT_REQUIRED: [&str; 2] = ["gumbel_along_functions", "inputnorm"];

/// Inputs with gradients, noise and parameters of one recording in one precision.
struct Case<'a> {
    recording: &'a Recording,
    kind: Kind,
    inputs: Vec<(String, Tensor)>,
    worst: [Worst; 2],
}

/// Largest error of a case: relative to the largest value, and as a share of what is allowed.
#[derive(Clone, Default)]
struct Worst {
    relative: f64,
    share: f64,
    name: String,
}

impl<'a> Case<'a> {
    fn new(recording: &'a Recording, kind: Kind) -> Self {
        let inputs = recording.tensors().iter().filter_map(|(name, tensor)| {
            let tensor = tensor.to_kind(kind).copy().set_requires_grad(true);
            Some((name.strip_prefix("in.")?.to_owned(), tensor))
        });
        Self {
            recording,
            kind,
            inputs: inputs.collect(),
            worst: Default::default(),
        }
    }

    fn input(&self, name: &str) -> &Tensor {
        let found = self.inputs.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no input {name}")).1
    }

    fn modules(&self, who: &str) -> ModuleStates<'_> {
        ModuleStates {
            states: self.input(&format!("{who}_states")),
            signatures: self.input(&format!("{who}_signatures")),
            codes: self.input(&format!("{who}_codes")),
        }
    }

    fn context<'n>(&self, noise: &'n mut dyn Noise) -> ForwardContext<'n> {
        match self.recording.facts()["mode"].as_str().unwrap() {
            "train" => ForwardContext::training(noise),
            _ => ForwardContext::evaluation().with_noise(noise),
        }
    }

    fn store(&self) -> ParamStore {
        ParamStore::new(Device::Cpu, self.kind, 0)
    }

    /// Notes the error of a value or a gradient.
    fn note(&mut self, name: &str, ours: &Tensor) {
        let (error, allowed) = (
            self.recording.error(name, ours),
            self.recording.allowed(name),
        );
        let relative = error / self.recording.largest(name).max(1e-12);
        let worst = &mut self.worst[usize::from(name.starts_with("grad."))];
        if error / allowed >= worst.share {
            *worst = Worst {
                relative,
                share: error / allowed,
                name: name.to_owned(),
            };
        }
    }

    /// Backward of the sum of squares of the finite entries, then every recorded gradient below `prefix`.
    fn backward(&mut self, prefix: &str, loss_name: &str, output: &Tensor, store: &ParamStore) {
        let finite = output.isfinite();
        let loss = output
            .where_self(&finite, &output.zeros_like())
            .square()
            .sum(self.kind);
        if self.recording.tensors().contains_key(loss_name) {
            self.note(loss_name, &loss);
        }
        if loss.requires_grad() {
            loss.backward();
        }
        let zero: Vec<&str> = self.recording.facts()["structurally_zero_grads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        for name in self.recording.tensors().keys() {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            let leaf = match (rest.strip_prefix("in."), rest.strip_prefix("param.")) {
                (Some(input), _) => self.input(input).shallow_clone(),
                (_, Some(parameter)) => store.get(parameter).unwrap().shallow_clone(),
                _ => continue,
            };
            let gradient = leaf.grad();
            let gradient = if gradient.defined() {
                gradient
            } else {
                leaf.zeros_like()
            };
            if zero.contains(&name.as_str()) {
                let size = gradient.abs().max().double_value(&[]);
                assert!(size < 1e-4, "{}: {name} is {size:e}", self.recording.name());
            } else {
                self.note(name, &gradient);
            }
        }
        for (_, input) in &self.inputs {
            let mut gradient = input.grad();
            if gradient.defined() {
                let _ = gradient.zero_();
            }
        }
        for (_, entry) in store.iter() {
            let mut gradient = entry.tensor.grad();
            if gradient.defined() {
                let _ = gradient.zero_();
            }
        }
    }

    /// Runs a layer with one output `y`.
    fn single(
        &mut self,
        store: &mut ParamStore,
        run: impl FnOnce(&Self, &mut ForwardContext<'_>) -> Result<Tensor, ModuleError>,
    ) {
        self.recording.load(store);
        let mut noise = self.recording.noise();
        let y = run(self, &mut self.context(&mut noise)).unwrap();
        assert_eq!(noise.remaining(), 0, "{}: noise", self.recording.name());
        self.note("out.y", &y);
        self.backward("grad.", "out.loss", &y, store);
    }

    fn run(&mut self) {
        let mut store = self.store();
        // What is imported sets all projections itself; this stands in for a circuit's.
        let mod_fc = &ModFcConfig::default();
        let drop = |probability| DropPath::new("drop", probability).unwrap();
        match import(&self.recording.facts()["config"]).unwrap() {
            Imported::Projection(of) => {
                let (scope, dims) = (store.root(), (of.in_dim, of.out_dim, of.code_dim));
                let layer = Projection::new(scope, dims.0, dims.1, dims.2, of.bias, &of.config);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(case.input("x"), case.input("context"), ctx)
                });
            }
            Imported::Ffn(of) => {
                let (scope, drop) = (store.root(), drop(of.drop_path));
                let layer = ModFfn::new(scope, of.state_dim, of.code_dim, &of.config, mod_fc, drop);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(case.input("states"), case.input("codes"), ctx)
                });
            }
            Imported::Kernel(config) => self.kernel(&mut store, &config),
            Imported::Attention(of) => {
                let (scope, drop) = (store.root(), drop(of.drop_path));
                let layer = Skmdpa::new(scope, of.state_dim, of.code_dim, &of.config, mod_fc, drop);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(&case.modules("receiver"), &case.modules("sender"), ctx)
                });
            }
            Imported::ReadInAttention(of) => {
                let layer = ReadInAttention::new(
                    store.root(),
                    of.token_dim,
                    of.state_dim,
                    of.code_dim,
                    &of.config,
                    mod_fc,
                    drop(of.drop_path),
                )
                .unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(&case.modules("receiver"), &case.tokens()?, ctx)
                });
            }
            Imported::ReadIn(of) => {
                let (scope, dims) = (store.root(), (of.input_dim, of.state_dim, of.code_dim));
                let layer = ReadIn::new(scope, dims.0, dims.1, dims.2, &of.config, mod_fc, 0.0);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(&case.modules("receiver"), &case.tokens()?, ctx)
                });
            }
            Imported::Propagator(of) => {
                let (scope, dims) = (store.root(), (of.state_dim, of.code_dim));
                let layer = Propagator::new(scope, dims.0, dims.1, &of.config, mod_fc, 0.0);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(&case.modules("receiver"), &case.modules("sender"), ctx)
                });
            }
            Imported::ReadOut(of) => {
                let (scope, dims) = (store.root(), (of.state_dim, of.code_dim, of.output_dim));
                let layer = ReadOut::new(scope, dims.0, dims.1, dims.2, &of.config, mod_fc, 0.0);
                let layer = layer.unwrap();
                self.single(&mut store, |case, ctx| {
                    layer.forward(&case.modules("receiver"), &case.modules("sender"), ctx)
                });
            }
            other => panic!("not a layer of this file: {other:?}"),
        }
    }

    fn tokens(&self) -> Result<Tokens, ModuleError> {
        Tokens::new(self.input("sender_states").shallow_clone())
    }

    fn kernel(&mut self, store: &mut ParamStore, config: &KernelConfig) {
        let kernel = SignatureKernel::new(store.root(), config).unwrap();
        self.recording.load(store);
        // With one set of signatures in the recording, receivers are their own senders.
        let square = !self
            .recording
            .tensors()
            .contains_key("in.sender_signatures");
        for output in [
            "distance",
            "log_kernel",
            "log_kernel_normalized_keys",
            "kernel",
            "kernel_normalized_keys",
        ] {
            let name = format!("out.{output}");
            if !self.recording.tensors().contains_key(&name) {
                continue;
            }
            let recorded = self.recording.tensors();
            let draws = recorded.get(&format!("noise.u_{output}.rand"));
            let batch = draws.filter(|t| t.dim() == 3).map(|t| t.size()[0]);
            let mut noise = RecordedNoise::new(draws.map(Tensor::copy));
            let receivers = self.input("receiver_signatures");
            let senders = if square {
                receivers
            } else {
                self.input("sender_signatures")
            };
            let mut ctx = self.context(&mut noise);
            let ours = match output {
                "distance" => kernel.distance(receivers, senders),
                "log_kernel" => kernel.log_links(receivers, senders, batch, &mut ctx),
                "log_kernel_normalized_keys" => kernel
                    .log_links(receivers, senders, batch, &mut ctx)
                    .map(|log| normalize_log_links(&log)),
                "kernel" => kernel.links(receivers, senders, batch, &mut ctx),
                _ => kernel
                    .links(receivers, senders, batch, &mut ctx)
                    .map(|links| normalize_links(&links)),
            };
            let ours = ours.unwrap();
            self.note(&name, &ours);
            let (prefix, loss) = (format!("grad.{output}."), format!("out.loss.{output}"));
            self.backward(&prefix, &loss, &ours, store);
        }
    }
}

/// Runs all cases and returns those that fail.
fn failures(recordings: &[Recording], kind: Kind) -> Vec<String> {
    let mut failed = Vec::new();
    for recording in recordings {
        if NOT_REQUIRED
            .iter()
            .any(|part| recording.name().contains(part))
        {
            continue;
        }
        let mut case = Case::new(recording, kind);
        case.run();
        let [forward, gradient] = &case.worst;
        println!(
            "{:<48} forward {:8.1e} ({:.2} of allowed) gradients {:8.1e} ({:.2} of allowed)",
            recording.name(),
            forward.relative,
            forward.share,
            gradient.relative,
            gradient.share
        );
        for worst in &case.worst {
            if worst.share > 1.0 {
                failed.push(format!(
                    "{}: {} differs by {:e} of its largest value, {:.1} times what is allowed",
                    recording.name(),
                    worst.name,
                    worst.relative,
                    worst.share
                ));
            }
        }
    }
    failed
}

#[test]
fn layer_recordings_beside_the_tests() {
    let recordings = Recording::open_bundled(&FAMILIES);
    assert!(recordings.len() >= 10, "{} recordings", recordings.len());
    for kind in [Kind::Float, Kind::Double] {
        let failed = failures(&recordings, kind);
        assert!(failed.is_empty(), "{kind:?}: {}", failed.join("\n"));
    }
}

#[test]
fn every_layer_recording_in_single_precision() {
    let Some(recordings) = Recording::open_family(&FAMILIES) else {
        return;
    };
    let failed = failures(&recordings, Kind::Float);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_layer_recording_in_double_precision() {
    let Some(recordings) = Recording::open_family(&FAMILIES) else {
        return;
    };
    let failed = failures(&recordings, Kind::Double);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
