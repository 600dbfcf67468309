//! Every layer and the whole model against recordings of the reference: forward values and gradients.
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use nac_core::rng::Streams;
use nac_modules::attention::{
    KernelConfig, ReadInAttention, ReadInAttentionConfig, SignatureKernel, Skmdpa, SkmdpaConfig,
};
use nac_modules::baseline::{PerceiverIo, PerceiverIoConfig};
use nac_modules::circuit::{
    ModuleStates, Propagator, PropagatorConfig, ReadIn, ReadInConfig, ReadOut, ReadOutConfig,
};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::generator::{CircuitGenerator, FreeGenerator, FreeGeneratorConfig};
use nac_modules::head::ConfidencePooling;
use nac_modules::layer::{DropPath, ModFc, ModFcConfig, ModFfn, ModFfnConfig, PositionalGrid};
use nac_modules::model::{InputSpec, Inputs, Model, ModelConfig, ModelKind, build_model};
use nac_modules::params::ParamStore;
use nac_modules::testing::Passthrough;
use nac_modules::tokenizer::{ConvNextConfig, ConvNextTokenizer, Tokenizer};
use support::Recording;
use tch::{Device, Kind, Tensor};

fn store() -> ParamStore {
    ParamStore::new(Device::Cpu, Kind::Float, 0)
}

fn quiet() -> StreamNoise {
    StreamNoise::new(Streams::new(0))
}

fn no_drop() -> DropPath {
    DropPath::new("none", 0.0).unwrap()
}

#[test]
fn mod_fc() {
    let recording = Recording::open("a_modfc_ln_chonker");
    let mut store = store();
    let layer = ModFc::new(store.root(), 12, 10, 8, true, &ModFcConfig::default()).unwrap();
    recording.load(&mut store);
    let (x, context) = (recording.input("x"), recording.input("context"));
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    recording.square_loss("y", &layer.forward(&x, &context, &mut ctx).unwrap());
    recording.check_gradients("grad.", &[("x", &x), ("context", &context)], Some(&store));
}

#[test]
fn mod_ffn() {
    let recording = Recording::open("b_modffn_geglu_chonker");
    let mut store = store();
    let layer = ModFfn::new(
        store.root(),
        12,
        8,
        &ModFfnConfig::default(),
        &ModFcConfig::default(),
        no_drop(),
    )
    .unwrap();
    recording.load(&mut store);
    let (states, codes) = (recording.input("states"), recording.input("codes"));
    let mut noise = quiet();
    let y = layer
        .forward(
            &states,
            &codes,
            &mut ForwardContext::evaluation().with_noise(&mut noise),
        )
        .unwrap();
    recording.square_loss("y", &y);
    recording.check_gradients(
        "grad.",
        &[("states", &states), ("codes", &codes)],
        Some(&store),
    );
}

#[test]
fn kernel_distance_and_probability() {
    let recording = Recording::open("c_kernel_nosample_eval");
    let mut store = store();
    let kernel = SignatureKernel::new(store.root(), &KernelConfig::default()).unwrap();
    recording.load(&mut store);
    for output in ["distance", "log_kernel", "kernel"] {
        let (receivers, senders) = (
            recording.input("receiver_signatures"),
            recording.input("sender_signatures"),
        );
        let ours = match output {
            "distance" => kernel.distance(&receivers, &senders),
            "log_kernel" => kernel.log_link_probability(&receivers, &senders),
            _ => kernel
                .log_link_probability(&receivers, &senders)
                .map(|log| log.exp()),
        }
        .unwrap();
        recording.check(&format!("out.{output}"), &ours);
        ours.square().sum(Kind::Float).backward();
        let inputs = [
            ("receiver_signatures", &receivers),
            ("sender_signatures", &senders),
        ];
        recording.check_gradients(&format!("grad.{output}."), &inputs, Some(&store));
    }
}

#[test]
fn kernel_samples_links_from_recorded_uniforms() {
    let recording = Recording::open("c_kernel_sample_log_T0.5");
    let mut store = store();
    let kernel = SignatureKernel::new(store.root(), &KernelConfig::default()).unwrap();
    recording.load(&mut store);
    let mut noise = recording.noise();
    let mut ctx = ForwardContext::training(&mut noise);
    let (receivers, senders) = (
        recording.input("receiver_signatures"),
        recording.input("sender_signatures"),
    );
    let ours = kernel
        .log_links(&receivers, &senders, Some(2), &mut ctx)
        .unwrap();
    recording.check("out.log_kernel", &ours);
    ours.square().sum(Kind::Float).backward();
    let inputs = [
        ("receiver_signatures", &receivers),
        ("sender_signatures", &senders),
    ];
    recording.check_gradients("grad.log_kernel.", &inputs, Some(&store));
}

/// Inputs of a layer between modules, all with recorded gradients.
struct Modules {
    receivers: [Tensor; 3],
    senders: [Tensor; 3],
}

impl Modules {
    fn read(recording: &Recording) -> Self {
        let set = |who: &str| {
            ["states", "signatures", "codes"].map(|what| recording.input(&format!("{who}_{what}")))
        };
        Self {
            receivers: set("receiver"),
            senders: set("sender"),
        }
    }

    fn view([states, signatures, codes]: &[Tensor; 3]) -> ModuleStates<'_> {
        ModuleStates {
            states,
            signatures,
            codes,
        }
    }

    fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let names = [
            "receiver_states",
            "receiver_signatures",
            "receiver_codes",
            "sender_states",
            "sender_signatures",
            "sender_codes",
        ];
        names
            .into_iter()
            .zip(self.receivers.iter().chain(&self.senders))
            .collect()
    }
}

fn attention(heads: usize, stochastic: bool) -> SkmdpaConfig {
    SkmdpaConfig {
        heads,
        head_dim: 8,
        kernel: KernelConfig {
            stochastic,
            ..Default::default()
        },
        ..Default::default()
    }
}

#[test]
fn skmdpa() {
    let recording = Recording::open("d_kmla_mask_sharedln_nobias_chonker_h1");
    let mut store = store();
    let layer = Skmdpa::new(
        store.root(),
        20,
        12,
        &attention(1, false),
        &ModFcConfig::default(),
        no_drop(),
    )
    .unwrap();
    recording.load(&mut store);
    let modules = Modules::read(&recording);
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    let y = layer
        .forward(
            &Modules::view(&modules.receivers),
            &Modules::view(&modules.senders),
            &mut ctx,
        )
        .unwrap();
    recording.square_loss("y", &y);
    recording.check_gradients("grad.", &modules.named(), Some(&store));
}

#[test]
fn propagator() {
    let recording = Recording::open("f_propagator_chonker");
    let mut store = store();
    let config = PropagatorConfig {
        attention: attention(4, false),
        ..Default::default()
    };
    let layer =
        Propagator::new(store.root(), 20, 12, &config, &ModFcConfig::default(), 0.0).unwrap();
    recording.load(&mut store);
    let modules = Modules::read(&recording);
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    let y = layer
        .forward(
            &Modules::view(&modules.receivers),
            &Modules::view(&modules.senders),
            &mut ctx,
        )
        .unwrap();
    recording.square_loss("y", &y);
    recording.check_gradients("grad.", &modules.named(), Some(&store));
}

#[test]
fn read_out() {
    let recording = Recording::open("f_readout_nohead");
    let mut store = store();
    let kernel = KernelConfig {
        learnable_bandwidth: true,
        ..Default::default()
    };
    let config = ReadOutConfig {
        head_dim: 8,
        kernel,
        ..Default::default()
    };
    let layer = ReadOut::new(
        store.root(),
        20,
        12,
        7,
        &config,
        &ModFcConfig::default(),
        0.0,
    )
    .unwrap();
    recording.load(&mut store);
    let modules = Modules::read(&recording);
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    let y = layer
        .forward(
            &Modules::view(&modules.receivers),
            &Modules::view(&modules.senders),
            &mut ctx,
        )
        .unwrap();
    recording.square_loss("y", &y);
    recording.check_gradients("grad.", &modules.named(), Some(&store));
}

/// Inputs of a read-in: modules and tokens.
fn read_in_inputs(recording: &Recording) -> ([Tensor; 3], Tensor) {
    let modules = ["receiver_states", "receiver_signatures", "receiver_codes"]
        .map(|name| recording.input(name));
    (modules, recording.input("sender_states"))
}

#[test]
fn read_in_attention() {
    let recording = Recording::open("e_readinattn_perlatent_chonker_nobias");
    let mut store = store();
    let config = ReadInAttentionConfig {
        head_dim: 8,
        ..Default::default()
    };
    let layer = ReadInAttention::new(
        store.root(),
        14,
        20,
        12,
        &config,
        &ModFcConfig::default(),
        no_drop(),
    )
    .unwrap();
    recording.load(&mut store);
    let (modules, tokens) = read_in_inputs(&recording);
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    let input = nac_modules::Tokens::new(tokens.shallow_clone()).unwrap();
    recording.square_loss(
        "y",
        &layer
            .forward(&Modules::view(&modules), &input, &mut ctx)
            .unwrap(),
    );
    let inputs = [
        ("receiver_states", &modules[0]),
        ("receiver_codes", &modules[2]),
        ("sender_states", &tokens),
    ];
    recording.check_gradients("grad.", &inputs, Some(&store));
}

#[test]
fn read_in() {
    let recording = Recording::open("e_attentivereadin_chonker");
    let mut store = store();
    let attention = ReadInAttentionConfig {
        head_dim: 8,
        ..Default::default()
    };
    let config = ReadInConfig {
        attention,
        ..Default::default()
    };
    let layer = ReadIn::new(
        store.root(),
        14,
        20,
        12,
        &config,
        &ModFcConfig::default(),
        0.0,
    )
    .unwrap();
    recording.load(&mut store);
    let (modules, tokens) = read_in_inputs(&recording);
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
    let input = nac_modules::Tokens::new(tokens.shallow_clone()).unwrap();
    recording.square_loss(
        "y",
        &layer
            .forward(&Modules::view(&modules), &input, &mut ctx)
            .unwrap(),
    );
    let inputs = [
        ("receiver_states", &modules[0]),
        ("receiver_codes", &modules[2]),
        ("sender_states", &tokens),
    ];
    recording.check_gradients("grad.", &inputs, Some(&store));
}

#[test]
fn convnext_tokenizer() {
    let recording = Recording::open("f_convnext_femto_2stage_grid");
    let mut store = store();
    let config = ConvNextConfig {
        depths: vec![1, 0],
        dims: vec![8, 16],
        grid_dim: 6,
        ..Default::default()
    };
    let tokenizer = ConvNextTokenizer::new(store.root(), 3, 32, 32, &config).unwrap();
    recording.load(&mut store);
    let image = recording.input("image");
    let mut noise = quiet();
    let inputs = Inputs::image(image.shallow_clone());
    let tokens = tokenizer
        .tokenize(
            &inputs,
            &mut ForwardContext::evaluation().with_noise(&mut noise),
        )
        .unwrap();
    recording.square_loss("tokens", tokens.values());
    recording.check_gradients("grad.", &[("image", &image)], Some(&store));
}

#[test]
fn positional_grid() {
    let recording = Recording::open("f_posgrid");
    let mut store = store();
    let grid = PositionalGrid::new(store.root(), 5, 4, 6).unwrap();
    recording.load(&mut store);
    recording.square_loss("grid", &grid.forward(2, 4, 6).unwrap());
    recording.check_gradients("grad.", &[], Some(&store));
}

#[test]
fn free_generator_starts_states_from_codes() {
    let recording = Recording::open("f_seeder_code_as_mean");
    let mut store = store();
    let config = FreeGeneratorConfig::new(6, 1, 8, 5);
    let generator = FreeGenerator::new(store.root(), &config).unwrap();
    let codes = recording.parameter("latents.codes_");
    let name = "mediator_latents.codes_";
    tch::no_grad(|| store.get(name).unwrap().shallow_clone().copy_(&codes));
    let mut noise = quiet();
    let circuit = generator
        .generate(
            &Inputs::new(),
            &mut ForwardContext::evaluation().with_noise(&mut noise),
        )
        .unwrap();
    recording.square_loss("states", &circuit.processors.batched_states(3));
    recording.check(
        "grad.param.latents.codes_",
        &store.get(name).unwrap().grad(),
    );
}

#[test]
fn confidence_pooling() {
    let recording = Recording::open("f_pool_vanilla_t1");
    let mut store = store();
    let head = ConfidencePooling::new(store.root(), 12, 7).unwrap();
    recording.load(&mut store);
    let states = recording.input("states");
    let mut noise = quiet();
    let logits = head
        .forward(
            &states,
            &mut ForwardContext::evaluation().with_noise(&mut noise),
        )
        .unwrap();
    recording.square_loss("logits", &logits);
    let zero = store
        .get("confidence_scorer.bias")
        .unwrap()
        .grad()
        .abs()
        .max()
        .double_value(&[]);
    assert!(
        zero < 1e-4,
        "the gradient of the scorer's bias is zero by algebra, found {zero:e}"
    );
    recording.check("grad.in.states", &states.grad());
    for name in [
        "confidence_scorer.weight",
        "to_logits.weight",
        "to_logits.bias",
    ] {
        recording.check(
            &format!("grad.param.{name}"),
            &store.get(name).unwrap().grad(),
        );
    }
}

/// Loss and gradients of a whole model with a recorded image and targets.
fn check_classifier(
    recording: &Recording,
    model: &dyn Model,
    inputs: &Inputs,
    image: &Tensor,
    outputs: &[(&str, &str)],
) {
    let mut noise = quiet();
    let mut ctx = ForwardContext::evaluation()
        .with_noise(&mut noise)
        .with_intermediates();
    let output = model.forward(inputs, &mut ctx).unwrap();
    for (theirs, ours) in outputs {
        recording.check(&format!("out.{theirs}"), &output.intermediates[*ours]);
    }
    recording.check("out.logits", &output.logits);
    let loss = output
        .logits
        .cross_entropy_for_logits(&recording.input("targets"));
    recording.check("out.loss", &loss);
    loss.backward();
    let gradient = image.grad();
    recording.check("grad.in.image", &gradient);
    recording.check_gradients("grad.", &[("image", image)], Some(model.params()));
}

#[test]
fn whole_circuit() {
    let recording = Recording::open("g_full_chonker_small_eval");
    let convnext = ConvNextConfig {
        dims: vec![16, 32],
        grid_dim: 16,
        ..Default::default()
    };
    let mut config = ModelConfig {
        convnext,
        ..Default::default()
    };
    let circuit = &mut config.circuit;
    (
        circuit.modules,
        circuit.read_out_modules,
        circuit.state_dim,
        circuit.signature_dim,
    ) = (32, 8, 64, 16);
    circuit.propagators = 3;
    circuit.read_in.attention.head_dim = 16;
    (
        circuit.propagator.attention.heads,
        circuit.propagator.attention.head_dim,
    ) = (4, 16);
    circuit.read_out.head_dim = 16;
    let input = InputSpec::Image {
        channels: 3,
        height: 64,
        width: 64,
    };
    let mut model = build_model(store(), &config, input, 10).unwrap();
    recording.load(model.params_mut());
    let image = recording.input("image");
    let outputs = [
        ("tokenized_inputs", "tokens"),
        ("input_states", "read_in.states"),
        ("mediator_states", "propagator.2.states"),
        ("output_states", "read_out.states"),
    ];
    let inputs = Inputs::image(image.shallow_clone());
    check_classifier(&recording, model.as_ref(), &inputs, &image, &outputs);
}

#[test]
fn whole_perceiver_io() {
    let recording = Recording::open("g_perceiverio_bchw");
    let config = PerceiverIoConfig {
        depth: 2,
        latents: 8,
        latent_dim: 32,
        query_dim: Some(24),
        latent_heads: 2,
        head_dim: 8,
        ..Default::default()
    };
    let image = recording.input("image");
    let pixels = image.flatten(2, 3).transpose(1, 2);
    let mut model = PerceiverIo::new(store(), &config, 10, |_| {
        Ok(Box::new(Passthrough::new("pixels", 6)))
    })
    .unwrap();
    recording.load(model.params_mut());
    let inputs = Inputs::new().with("pixels", pixels);
    check_classifier(&recording, &model, &inputs, &image, &[]);
}

#[test]
fn whole_perceiver_io_on_convnext_tokens() {
    let Some(recording) = Recording::open_from_full_set("g_full_perceiverio_small_eval") else {
        return;
    };
    let mut config = ModelConfig {
        kind: ModelKind::PerceiverIo,
        convnext: ConvNextConfig {
            depths: vec![1, 0, 0],
            dims: vec![16, 32, 64],
            grid_dim: 16,
            ..Default::default()
        },
        ..Default::default()
    };
    let baseline = &mut config.perceiver_io;
    (baseline.depth, baseline.latents, baseline.latent_dim) = (3, 32, 64);
    (baseline.latent_heads, baseline.head_dim) = (4, 16);
    let input = InputSpec::Image {
        channels: 3,
        height: 64,
        width: 64,
    };
    let mut model = build_model(store(), &config, input, 10).unwrap();
    recording.load(model.params_mut());
    let image = recording.input("image");
    let inputs = Inputs::image(image.shallow_clone());
    check_classifier(&recording, model.as_ref(), &inputs, &image, &[]);
}
