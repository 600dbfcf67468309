//! Layers, blocks, tokenizers, heads, latents and whole models, built from the recordings' own configurations through
//! the import of the reference's configuration, against the recordings: forward values and gradients.
//!
//! `NAC_GOLDENS_DIR` names the full set; a few recordings lie beside the tests and are always checked.
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nac_modules::Tokens;
use nac_modules::attention::{ReadInAttention, Skmdpa};
use nac_modules::circuit::{
    CircuitExecutor, ModuleStates, Propagator, PropagatorConfig, ReadIn, ReadOut, ReadOutConfig,
};
use nac_modules::context::{ForwardContext, RecordedNoise};
use nac_modules::generator::{CircuitGenerator, FreeGenerator, ModuleLatents, Seeder};
use nac_modules::head::{ConfidencePooling, FirstSlot, HeadKind};
use nac_modules::layer::{DropPath, ModFcConfig, ModFfn, PositionalGrid, Projection};
use nac_modules::model::Inputs;
use nac_modules::params::{ParamStore, TensorFile};
use nac_modules::tokenizer::{ConvNextTokenizer, Tokenizer};
use nac_pytorch::settings::{
    Imported, ImportedBlock, ImportedCircuit, ImportedHead, ImportedModel, ImportedSeededLatents,
    import,
};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// Recordings whose whole name or options are outside what is required.
const NOT_REQUIRED: [&str; 2] = ["masked", "inputnorm"];

/// A recording, and what is found wrong with our results.
struct Case {
    name: String,
    facts: Value,
    tensors: BTreeMap<String, Tensor>,
    kind: Kind,
    worst_forward: f64,
    worst_gradient: f64,
    failures: Vec<String>,
}

impl Case {
    fn open(folder: &Path, name: &str, kind: Kind) -> Self {
        let read = |ending: &str| folder.join(format!("{name}.{ending}"));
        let text = std::fs::read_to_string(read("json")).unwrap();
        let tensors = TensorFile::read(&read("safetensors")).unwrap().tensors;
        Self {
            name: name.to_owned(),
            facts: serde_json::from_str(&text).unwrap(),
            tensors: tensors
                .into_iter()
                .map(|(name, t)| (name, cast(&t, kind)))
                .collect(),
            kind,
            worst_forward: 0.0,
            worst_gradient: 0.0,
            failures: Vec::new(),
        }
    }

    fn input(&self, name: &str) -> Tensor {
        let copy = self.tensors[&format!("in.{name}")].copy();
        let float = copy.is_floating_point();
        copy.set_requires_grad(float)
    }

    fn training(&self) -> bool {
        self.facts["mode"] == "train"
    }

    fn noise(&self) -> RecordedNoise {
        let order = self.facts["noise_in_call_order"].as_array().unwrap();
        RecordedNoise::new(
            order
                .iter()
                .map(|name| self.tensors[name.as_str().unwrap()].copy()),
        )
    }

    fn store(&self) -> ParamStore {
        ParamStore::new(Device::Cpu, self.kind, 0)
    }

    fn load(&self, store: &mut ParamStore) {
        let tensors = self.tensors.iter();
        let tensors = tensors.filter_map(|(name, t)| {
            Some((name.strip_prefix("param.")?.to_owned(), t.shallow_clone()))
        });
        store.import(&self.name, &tensors.collect()).unwrap();
    }

    fn check(&mut self, name: &str, ours: &Tensor) {
        let recorded = self.tensors[name].shallow_clone();
        if ours.size() != recorded.size() {
            let line = format!("{name}: {:?} against {:?}", ours.size(), recorded.size());
            self.failures.push(line);
            return;
        }
        let noise = self.facts["f32_vs_f64"][name]["max_abs_err"].as_f64();
        let zeros = self.facts["structurally_zero_grads"].as_array().unwrap();
        let largest = if zeros.iter().any(|zero| zero == name) {
            1.0
        } else {
            recorded.abs().max().double_value(&[])
        };
        let floor = if recorded.numel() == 1 { 1e-5 } else { 2e-6 };
        let allowed = 4.0 * noise.unwrap_or(0.0) + floor * largest + 1e-12;
        let error = (ours - &recorded).abs().max().double_value(&[]);
        let relative = error / largest.max(1e-30);
        let worst = if name.starts_with("grad.") {
            &mut self.worst_gradient
        } else {
            &mut self.worst_forward
        };
        *worst = worst.max(relative);
        if error.is_nan() || error > allowed {
            let line = format!("{name} differs by {error:e}, allowed {allowed:e}");
            self.failures.push(line);
        }
    }

    fn check_gradients(&mut self, inputs: &[(&str, &Tensor)], store: &ParamStore) {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        for name in names.iter().filter(|name| name.starts_with("grad.")) {
            let tensor = match name.strip_prefix("grad.in.") {
                Some(input) => inputs.iter().find(|(n, _)| *n == input).unwrap().1,
                None => store.get(&name["grad.param.".len()..]).unwrap(),
            };
            let gradient = tensor.grad();
            let zeros = self.facts["structurally_zero_grads"].as_array().unwrap();
            if gradient.defined() {
                self.check(name, &gradient);
            } else if zeros.iter().all(|zero| zero != name) {
                // A term that is zero by algebra may have been left out, such as the read-in's key bias.
                self.failures.push(format!("{name}: no gradient"));
            }
        }
        let without = self.facts["params_without_grad"]
            .as_array()
            .unwrap()
            .clone();
        for name in without.iter().filter_map(Value::as_str) {
            let gradient = store.get(name).unwrap().grad();
            if gradient.defined() && gradient.abs().max().double_value(&[]) > 0.0 {
                self.failures.push(format!("{name} has a gradient"));
            }
        }
    }

    /// Checks outputs, then the sum of their squares and its gradients.
    fn square_loss(
        &mut self,
        outputs: &[(&str, Tensor)],
        inputs: &[(&str, &Tensor)],
        store: &ParamStore,
    ) {
        let mut loss = Tensor::zeros([], (self.kind, Device::Cpu));
        for (name, output) in outputs {
            self.check(&format!("out.{name}"), output);
            loss += output.square().sum(None::<Kind>);
        }
        self.check("out.loss", &loss);
        loss.backward();
        self.check_gradients(inputs, store);
    }

    fn run(&mut self) {
        match import(&self.facts["config"]).unwrap() {
            Imported::Projection(imported) => {
                let mut store = self.store();
                let (inputs, outputs) = (imported.in_dim, imported.out_dim);
                let layer = Projection::new(
                    store.root(),
                    inputs,
                    outputs,
                    imported.code_dim,
                    imported.bias,
                    &imported.config,
                )
                .unwrap();
                self.load(&mut store);
                let (x, context) = (self.input("x"), self.input("context"));
                let mut noise = self.noise();
                let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
                let y = layer.forward(&x, &context, &mut ctx).unwrap();
                let inputs = [("x", &x), ("context", &context)];
                self.square_loss(&[("y", y)], &inputs, &store);
            }
            Imported::Ffn(imported) => {
                let mut store = self.store();
                let drop_path = DropPath::new("ffn.drop_path", imported.drop_path).unwrap();
                let layer = ModFfn::new(
                    store.root(),
                    imported.state_dim,
                    imported.code_dim,
                    &imported.config,
                    &ModFcConfig::default(),
                    drop_path,
                )
                .unwrap();
                self.load(&mut store);
                let (states, codes) = (self.input("states"), self.input("codes"));
                let mut noise = self.noise();
                let y = layer
                    .forward(&states, &codes, &mut self.context(&mut noise))
                    .unwrap();
                let inputs = [("states", &states), ("codes", &codes)];
                self.square_loss(&[("y", y)], &inputs, &store);
            }
            Imported::Attention(imported) => {
                let mut store = self.store();
                let drop_path = DropPath::new("drop_path", imported.drop_path).unwrap();
                let layer = Skmdpa::new(
                    store.root(),
                    imported.state_dim,
                    imported.code_dim,
                    &imported.config,
                    &ModFcConfig::default(),
                    drop_path,
                )
                .unwrap();
                self.load(&mut store);
                self.between_modules(&store, |r, s, ctx| layer.forward(r, s, ctx));
            }
            Imported::ReadInAttention(imported) => {
                let mut store = self.store();
                let drop_path = DropPath::new("drop_path", imported.drop_path).unwrap();
                let layer = ReadInAttention::new(
                    store.root(),
                    imported.token_dim,
                    imported.state_dim,
                    imported.code_dim,
                    &imported.config,
                    &ModFcConfig::default(),
                    drop_path,
                )
                .unwrap();
                self.load(&mut store);
                self.reading(&store, |m, t, ctx| layer.forward(m, t, ctx));
            }
            Imported::ReadIn(block) => {
                let mut store = self.store();
                let layer = ReadIn::new(
                    store.root(),
                    block.input_dim,
                    block.state_dim,
                    block.code_dim,
                    &block.config,
                    &ModFcConfig::default(),
                    0.0,
                )
                .unwrap();
                self.load(&mut store);
                self.reading(&store, |m, t, ctx| layer.forward(m, t, ctx));
            }
            Imported::Propagator(block) => self.propagator(&block),
            Imported::ReadOut(block) => self.read_out(&block),
            Imported::Tokenizer(tokenizer) => {
                let image = self.input("image");
                let [_, _, height, width] = image.size()[..] else {
                    panic!("{}: not an image", self.name)
                };
                let mut store = self.store();
                let layer = ConvNextTokenizer::new(
                    store.root(),
                    tokenizer.channels,
                    height as usize,
                    width as usize,
                    &tokenizer.config,
                )
                .unwrap();
                self.load(&mut store);
                let mut noise = self.noise();
                let inputs = Inputs::image(image.shallow_clone());
                let tokens = layer
                    .tokenize(
                        &inputs,
                        &mut ForwardContext::evaluation().with_noise(&mut noise),
                    )
                    .unwrap();
                let outputs = [("tokens", tokens.values().shallow_clone())];
                self.square_loss(&outputs, &[("image", &image)], &store);
            }
            Imported::Grid(grid) => {
                let mut store = self.store();
                let [height, width] = grid.size;
                let layer = PositionalGrid::new(store.root(), grid.dim, height, width).unwrap();
                self.load(&mut store);
                let ours = layer
                    .forward(grid.batch_size as i64, height as i64, width as i64)
                    .unwrap();
                self.square_loss(&[("grid", ours)], &[], &store);
            }
            Imported::Head(head) => self.head(&head),
            Imported::Latents(latents) => {
                let mut store = self.store();
                let layer =
                    ModuleLatents::new(store.root(), latents.sizes, &latents.config).unwrap();
                self.load(&mut store);
                let states = layer.initial_states().unwrap();
                let batch = self.tensors["out.states"].size()[0];
                let outputs = [
                    ("states", states.unsqueeze(0).expand([batch, -1, -1], false)),
                    ("signatures", layer.signatures().shallow_clone()),
                    ("codes", layer.codes().shallow_clone()),
                ];
                self.square_loss(&outputs, &[], &store);
                for name in self.facts["frozen_params"].as_array().unwrap() {
                    let tensor = store.get(name.as_str().unwrap()).unwrap();
                    assert!(!tensor.requires_grad(), "{name} is trained");
                }
            }
            Imported::SeededLatents(latents) => self.seeded_latents(&latents),
            Imported::Circuit(circuit) => self.circuit(&circuit),
            Imported::Model(model) => self.model(&model),
            other => panic!("{}: nothing here runs {other:?}", self.name),
        }
    }

    fn context<'a>(&self, noise: &'a mut RecordedNoise) -> ForwardContext<'a> {
        if self.training() {
            ForwardContext::training(noise)
        } else {
            ForwardContext::evaluation().with_noise(noise)
        }
    }

    fn reading(
        &mut self,
        store: &ParamStore,
        run: impl Fn(&ModuleStates<'_>, &Tokens, &mut ForwardContext<'_>) -> nac_modules::Result<Tensor>,
    ) {
        let names = ["receiver_states", "receiver_codes", "sender_states"];
        let [states, codes, tokens] = names.map(|name| self.input(name));
        let modules = ModuleStates {
            states: &states,
            signatures: &codes,
            codes: &codes,
        };
        let mut noise = self.noise();
        let input = Tokens::new(tokens.shallow_clone()).unwrap();
        let y = run(&modules, &input, &mut self.context(&mut noise)).unwrap();
        let inputs = [(names[0], &states), (names[1], &codes), (names[2], &tokens)];
        self.square_loss(&[("y", y)], &inputs, store);
    }

    fn between_modules(
        &mut self,
        store: &ParamStore,
        run: impl Fn(
            &ModuleStates<'_>,
            &ModuleStates<'_>,
            &mut ForwardContext<'_>,
        ) -> nac_modules::Result<Tensor>,
    ) {
        let names = [
            "receiver_states",
            "receiver_signatures",
            "receiver_codes",
            "sender_states",
            "sender_signatures",
            "sender_codes",
        ];
        let modules = names.map(|name| self.input(name));
        let set = |first: usize| ModuleStates {
            states: &modules[first],
            signatures: &modules[first + 1],
            codes: &modules[first + 2],
        };
        let mut noise = self.noise();
        let mut ctx = self.context(&mut noise);
        let y = run(&set(0), &set(3), &mut ctx).unwrap();
        let inputs: Vec<(&str, &Tensor)> = names.into_iter().zip(&modules).collect();
        self.square_loss(&[("y", y)], &inputs, store);
        assert_eq!(noise.remaining(), 0, "{}", self.name);
    }

    fn propagator(&mut self, block: &ImportedBlock<PropagatorConfig>) {
        let mut store = self.store();
        let (dim, code_dim) = (block.state_dim, block.code_dim);
        let mod_fc = ModFcConfig::default();
        let root = store.root();
        let layer = Propagator::new(root, dim, code_dim, &block.config, &mod_fc, 0.0).unwrap();
        self.load(&mut store);
        self.between_modules(&store, |r, s, ctx| layer.forward(r, s, ctx));
    }

    fn read_out(&mut self, block: &ImportedBlock<ReadOutConfig>) {
        let mut store = self.store();
        let layer = ReadOut::new(
            store.root(),
            block.state_dim,
            block.code_dim,
            block.output_dim,
            &block.config,
            &ModFcConfig::default(),
            0.0,
        )
        .unwrap();
        self.load(&mut store);
        self.between_modules(&store, |r, s, ctx| layer.forward(r, s, ctx));
    }

    fn head(&mut self, head: &ImportedHead) {
        let mut store = self.store();
        let states = self.input("states");
        let mut noise = self.noise();
        let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
        let logits = if head.config.kind == HeadKind::FirstSlot {
            FirstSlot.forward(&states).unwrap()
        } else {
            let (dim, classes) = (head.state_dim.unwrap(), head.classes.unwrap());
            let layer =
                ConfidencePooling::with_config(store.root(), dim, classes, &head.config).unwrap();
            self.load(&mut store);
            layer.forward(&states, &mut ctx).unwrap()
        };
        self.square_loss(&[("logits", logits)], &[("states", &states)], &store);
    }

    fn seeded_latents(&mut self, recorded: &ImportedSeededLatents) {
        let mut store = self.store();
        let sizes = recorded.latents.sizes;
        let config = &recorded.latents.config;
        let latents = ModuleLatents::new(store.root().sub("latents"), sizes, config).unwrap();
        let root = store.root().sub("seeder").path().to_owned();
        assert_eq!(root, "seeder");
        let seeder = Seeder::new(
            store.root().sub("seeder"),
            recorded.state_dim,
            sizes.code_dim,
            &recorded.seeder,
        )
        .unwrap();
        self.load(&mut store);
        let mut noise = self.noise();
        let mut ctx = self.context(&mut noise);
        let batch = recorded.batch_size as i64;
        let mut states = |codes: &Tensor| {
            let states = seeder.forward(codes, batch, &mut ctx).unwrap();
            if states.dim() == 2 {
                states.unsqueeze(0).expand([batch, -1, -1], false)
            } else {
                states
            }
        };
        let mut outputs = vec![("states", states(&latents.first_codes()))];
        if let Some(last) = latents.layer_codes().last() {
            outputs.push(("states_last", states(last)));
        }
        self.square_loss(&outputs, &[], &store);
        assert_eq!(noise.remaining(), 0, "{}", self.name);
    }

    fn circuit(&mut self, recorded: &ImportedCircuit) {
        let mut store = self.store();
        let config = &recorded.config;
        let generator = FreeGenerator::new(store.root(), &config.generator()).unwrap();
        let executor = CircuitExecutor::new(
            store.root(),
            recorded.token_dim,
            recorded.output_dim,
            config,
        )
        .unwrap();
        self.load(&mut store);
        let tokens = self.input("inputs");
        let mut noise = self.noise();
        let mut ctx = ForwardContext::evaluation()
            .with_noise(&mut noise)
            .with_intermediates();
        let inputs = Inputs::tokens(tokens.shallow_clone());
        let circuit = generator.generate(&inputs, &mut ctx).unwrap();
        let output = executor
            .forward(
                &Tokens::new(tokens.shallow_clone()).unwrap(),
                &circuit,
                &mut ctx,
            )
            .unwrap();
        let mut kept = ctx.take_intermediates();
        let outputs = [
            ("input_states", kept.remove("read_in.states").unwrap()),
            ("mediator_states", kept.remove("processor.states").unwrap()),
            ("output_states", output),
        ];
        self.square_loss(&outputs, &[("inputs", &tokens)], &store);
        assert_eq!(noise.remaining(), 0, "{}", self.name);
    }

    fn model(&mut self, recorded: &ImportedModel) {
        let image = self.input("image");
        let size = image.size();
        let mut model = recorded
            .build(self.store(), size[2] as usize, size[3] as usize)
            .unwrap();
        self.load(model.params_mut());
        let mut noise = self.noise();
        let ctx = self.context(&mut noise);
        let inputs = Inputs::image(image.shallow_clone());
        let output = model
            .forward(&inputs, &mut ctx.with_intermediates())
            .unwrap();
        assert_eq!(noise.remaining(), 0, "{}", self.name);
        for (theirs, ours) in [
            ("out.tokenized_inputs", "tokens"),
            ("out.input_states", "read_in.states"),
            ("out.mediator_states", "processor.states"),
            ("out.output_states", "read_out.states"),
        ] {
            if self.tensors.contains_key(theirs) {
                self.check(theirs, &output.intermediates[ours]);
            }
        }
        self.check("out.logits", &output.logits);
        let loss = output
            .logits
            .cross_entropy_for_logits(&self.input("targets"));
        self.check("out.loss", &loss);
        loss.backward();
        self.check_gradients(&[("image", &image)], model.params());
    }
}

fn cast(tensor: &Tensor, kind: Kind) -> Tensor {
    if tensor.is_floating_point() {
        tensor.to_kind(kind)
    } else {
        tensor.shallow_clone()
    }
}

/// Names of the recordings in a folder that this file runs.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let ours = ["a_", "b_", "d_", "e_", "f_", "g_"]
                .iter()
                .any(|p| name.starts_with(p));
            let training = name.starts_with("g_objective") || name.starts_with("g_adamw");
            let required = !NOT_REQUIRED.iter().any(|part| name.contains(part));
            let json = path.extension().is_some_and(|ending| ending == "json");
            (json && ours && required && !training).then_some(name)
        })
        .collect();
    names.sort();
    names
}

fn compare(folder: &Path, kind: Kind) {
    let names = names(folder);
    assert!(!names.is_empty(), "no recordings in {}", folder.display());
    let mut failed = Vec::new();
    for name in names {
        let mut case = Case::open(folder, &name, kind);
        case.run();
        println!(
            "{name}: worst relative error {:.1e} forward, {:.1e} gradients",
            case.worst_forward, case.worst_gradient
        );
        for failure in &case.failures {
            failed.push(format!("{name}: {failure}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn recordings_beside_the_tests() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    compare(&folder, Kind::Float);
}

#[test]
fn all_recordings() {
    let folder = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty());
    let Some(folder) = folder else {
        let line = "SKIPPED: circuits against all recordings (set NAC_GOLDENS_DIR to the full set)";
        eprintln!("{line}");
        if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log);
            writeln!(file.unwrap(), "{line}").unwrap();
        }
        return;
    };
    compare(Path::new(&folder), Kind::Float);
    // Recorded values are of float32, so float64 must come as close.
    compare(Path::new(&folder), Kind::Double);
}

/// A small circuit as the reference writes it.
fn small() -> Value {
    json!({
        "cls": "NeuralCompiler", "input_dim": 3, "output_dim": 4, "state_dim": 16,
        "input_tokenizer_type": "ConvNeXtImageTokenizer",
        "input_tokenizer_kwargs": {"capacity_preset": "femto", "num_stages": 2},
        "latent_graph_type": "LatentGraph",
        "latent_graph_kwargs": {
            "signature_dim": 4, "num_input_latents": 5, "num_mediator_latents": 6,
            "num_output_latents": 2, "num_iterations": 2, "num_heads": 2, "head_dim": 4,
            "ffn_capacity_factor": 2, "read_out_kwargs": {"use_head": false},
        },
        "output_tokenizer_type": "OutputLatentPooling",
    })
}

#[test]
fn refusals_name_the_option() {
    let refused = |pointer: &str, key: &str, value: Value, path: &str| {
        let mut table = small();
        let inner = table.pointer_mut(pointer).unwrap();
        inner[key] = value;
        let error = import(&table).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    };
    let graph = "/latent_graph_kwargs";
    refused(
        graph,
        "propagator_kwargs",
        json!({"latent_attention_kwargs": {"kernel_kwargs": {"trunkation": 0.9}}}),
        "latent_graph_kwargs.propagator_kwargs.latent_attention_kwargs.kernel_kwargs.trunkation",
    );
    refused(
        graph,
        "num_heads",
        json!("two"),
        "latent_graph_kwargs.num_heads",
    );
    refused(
        graph,
        "read_in_cls",
        json!("Other"),
        "latent_graph_kwargs.read_in_cls",
    );
    refused(
        graph,
        "propagator_layerwise_kwargs",
        json!({"layer_scale_initial_value": [0.1]}),
        "propagator_layerwise_kwargs.layer_scale_initial_value",
    );
    refused(
        graph,
        "enable_persistent_input_mediator_communication",
        json!(false),
        "latent_graph_kwargs.enable_persistent_input_mediator_communication",
    );
    refused("", "speed", json!(1), "`speed` = 1");
    refused("", "state_dim", json!(-3), "`state_dim` = -3");
    let mut table = small();
    let _ = table.as_object_mut().unwrap().remove("output_dim");
    let error = import(&table).unwrap_err().to_string();
    assert_eq!(error, "`output_dim` is missing");
}

#[test]
fn a_small_circuit_is_built_and_survives_serialisation() {
    let Imported::Model(model) = import(&small()).unwrap() else {
        panic!("not a model")
    };
    let text = serde_json::to_string(&model.config).unwrap();
    assert_eq!(model.config, serde_json::from_str(&text).unwrap());
    assert!(model.parameter_count(32, 32).unwrap() > 1000);
}
