//! Circuits that a text changes: where they start, what they depend on, and what trains them.
#![allow(clippy::unwrap_used)]

use nac_core::model::SequenceTokenizer;
use nac_modules::fused::{FusedExecutor, TrainingPrecision, coverage};
use nac_modules::generator::{Circuit, GeneratorKind, ModuleGroup};
use nac_modules::model::{BuildModel, ModelFile};
use nac_modules::prelude::*;
use nac_modules::tape::Tape;

const GATES: [&str; 2] = ["signatures.gate", "codes.gate"];

/// An image and a question of up to nine symbols.
const MODEL: &str = r#"
[inputs]
image = { kind = "image", channels = 3, height = 6, width = 6 }
question = { kind = "tokens", vocabulary = 11, max_len = 9, pad = 0 }

[output]
classes = 4

[model]
image_tokenizer = "patches"
patches = { side = 2, dim = 12 }
embedding = { dim = 10, position_dim = 4 }
recurrent = { dim = 8, states = 8, layers = 1 }
generator = { kind = "conditional", dim = 16, layers = 2, heads = 2, head_dim = 8 }

[model.circuit]
modules = 6
read_out_modules = 3
state_dim = 16
signature_dim = 5
propagators = 2
read_in.attention = { heads = 2, head_dim = 8 }
propagator.attention = { heads = 2, head_dim = 8 }
"#;

fn config(change: impl Fn(&mut ModelConfig)) -> ModelFile {
    let mut file = ModelFile::from_toml(MODEL).unwrap();
    change(&mut file.model);
    file
}

fn build(file: &ModelFile, kind: Kind) -> Box<dyn Model> {
    let store = ParamStore::new(Device::Cpu, kind, 5);
    file.build(store).unwrap()
}

/// A model with open gates.
fn open(config: &ModelFile, kind: Kind) -> Box<dyn Model> {
    let model = build(config, kind);
    tch::no_grad(|| {
        for (name, tensor) in model.params().parameters() {
            if GATES.iter().any(|gate| name.ends_with(gate)) {
                let waves = Tensor::arange(tensor.size()[0], (kind, Device::Cpu)).sin();
                tensor.shallow_clone().copy_(&(waves + 0.3));
            }
        }
    });
    model
}

/// Images that differ and questions, of which the first and the third are equal.
fn inputs(kind: Kind) -> Inputs {
    let count = 4 * 3 * 6 * 6;
    let image = (Tensor::arange(count, (kind, Device::Cpu)) * 0.37).sin();
    let questions: [i64; 36] = [
        3, 4, 5, 0, 0, 0, 0, 0, 0, //
        3, 4, 6, 7, 8, 9, 10, 2, 1, //
        3, 4, 5, 0, 0, 0, 0, 0, 0, //
        6, 4, 5, 1, 0, 0, 0, 0, 0, //
    ];
    let questions = Tensor::from_slice(&questions).view([4, 9]);
    Inputs::image(image.view([4, 3, 6, 6])).with("question", questions)
}

fn circuit(output: &ModelOutput) -> &Circuit {
    &output.circuit.as_ref().unwrap().circuit
}

#[test]
fn with_closed_gates_it_is_the_free_circuit_bit_for_bit() {
    for separate in [true, false] {
        let conditional = config(|c| c.circuit.wiring.separate_read_in_modules = separate);
        let free = config(|c| {
            c.circuit.wiring.separate_read_in_modules = separate;
            c.generator.kind = GeneratorKind::Free;
            c.unused_inputs = vec!["question".into()];
        });
        let (conditional, free) = (build(&conditional, Kind::Float), build(&free, Kind::Float));
        let names = |model: &dyn Model| {
            let all = model.params().parameters().map(|(name, _)| name.to_owned());
            all.filter(|name| !name.contains("text_generator"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(conditional.as_ref()), names(free.as_ref()));
        let inputs = inputs(Kind::Float);
        let (ours, theirs) = (
            conditional.predict(&inputs).unwrap(),
            free.predict(&inputs).unwrap(),
        );
        for group in ModuleGroup::ALL {
            let (ours, theirs) = (circuit(&ours).group(group), circuit(&theirs).group(group));
            for (ours, theirs) in [
                (&ours.signatures, &theirs.signatures),
                (&ours.codes, &theirs.codes),
                (&ours.states, &theirs.states),
            ] {
                assert_eq!(ours.dim(), 3);
                for example in 0..4 {
                    assert_eq!(&ours.get(example), theirs);
                }
            }
        }
        let near = ours.logits.allclose(&theirs.logits, 1e-5, 1e-6, false);
        assert!(near, "{} {}", ours.logits, theirs.logits);
    }
}

#[test]
fn equal_texts_give_equal_circuits_and_other_texts_others() {
    let model = open(&config(|_| ()), Kind::Float);
    let output = model.predict(&inputs(Kind::Float)).unwrap();
    for group in ModuleGroup::ALL {
        let set = circuit(&output).group(group);
        for tensor in [&set.signatures, &set.codes, &set.states] {
            assert_eq!(tensor.get(0), tensor.get(2), "{group}");
            for other in [1, 3] {
                let difference = (tensor.get(0) - tensor.get(other)).abs().max();
                assert!(f64::try_from(difference).unwrap() > 1e-2, "{group}");
            }
        }
    }
}

#[test]
fn text_changes_only_what_it_is_asked_to() {
    for (signatures, codes) in [(true, false), (false, true)] {
        let config = config(|c| (c.generator.signatures, c.generator.codes) = (signatures, codes));
        let model = open(&config, Kind::Float);
        let output = model.predict(&inputs(Kind::Float)).unwrap();
        let set = &circuit(&output).processors;
        let ranks = |changed| if changed { 3 } else { 2 };
        assert_eq!(set.signatures.dim(), ranks(signatures));
        assert_eq!(
            (set.codes.dim(), set.states.dim()),
            (ranks(codes), ranks(codes))
        );
    }
}

/// All sequence tokenizers but those that make tokens of windows, where padding may end up in the last one.
fn tokenizers() -> Vec<ModelFile> {
    let plain = config(|_| ());
    let recurrent = config(|c| c.sequence_tokenizer = SequenceTokenizer::Recurrent);
    vec![plain, recurrent]
}

#[test]
fn padding_of_the_text_changes_nothing() {
    for config in tokenizers() {
        let model = open(&config, Kind::Double);
        let all = inputs(Kind::Double);
        let long = model.predict(&all).unwrap().logits;
        let row = |tensor: &Tensor, length: i64| tensor.narrow(0, 0, 1).narrow(1, 0, length);
        let question = row(all.get("question").unwrap(), 3);
        let image = all.get("image").unwrap().narrow(0, 0, 1);
        let short = Inputs::image(image).with("question", question);
        let short = model.predict(&short).unwrap().logits;
        assert!(short.get(0).allclose(&long.get(0), 1e-9, 1e-11, false));
    }
}

/// Gradients of all parameters of a training step by name.
fn gradients(model: &dyn Model, kind: Kind, fused: bool, tape: bool) -> Vec<(String, Tensor)> {
    let mut noise = StreamNoise::new(Streams::new(3));
    let mut nodes = Tape::new();
    let mut ctx = ForwardContext::training(&mut noise);
    if tape {
        ctx = ctx.with_tape(&mut nodes);
    }
    let executor = FusedExecutor::new(1, TrainingPrecision::F32).unwrap();
    if fused {
        ctx = ctx.with_fused(&executor);
    }
    let output = model.forward(&inputs(kind), &mut ctx).unwrap();
    drop(ctx);
    if fused {
        let blocks = coverage(&config(|_| ()).spec().unwrap(), kind, Device::Cpu);
        assert!(
            blocks.iter().all(|block| block.reason.is_none()),
            "{blocks:?}"
        );
        assert_eq!(executor.blocks_run(), blocks.len());
    }
    let links = output.graphs().next().unwrap();
    let links = links.mean_link_probabilities().unwrap().square();
    let loss = output.logits.square().sum(kind) + links.sum(kind);
    let (names, parameters): (Vec<_>, Vec<_>) = model.params().parameters().unzip();
    let all = nodes.backward(&loss, &parameters).unwrap();
    let named = names.into_iter().zip(all).filter(|(name, gradient)| {
        // Nothing depends on the signatures of modules that read.
        gradient.defined() || !name.ends_with("input_latents.signatures_")
    });
    named
        .map(|(name, gradient)| (name.to_owned(), gradient))
        .collect()
}

#[test]
fn gradients_reach_the_text_from_the_first_step_on_and_are_those_of_the_fused_blocks() {
    let closed = build(&config(|_| ()), Kind::Double);
    for (name, gradient) in gradients(closed.as_ref(), Kind::Double, false, false) {
        if GATES.iter().any(|gate| name.ends_with(gate)) {
            assert!(f64::try_from(gradient.abs().min()).unwrap() > 0.0, "{name}");
        }
    }
    let model = open(&config(|_| ()), Kind::Float);
    let plain = gradients(model.as_ref(), Kind::Float, false, false);
    for (name, gradient) in &plain {
        let largest = f64::try_from(gradient.abs().max()).unwrap();
        assert!(largest > 0.0, "{name}");
    }
    for (fused, tape) in [(false, true), (true, true)] {
        let other = gradients(model.as_ref(), Kind::Float, fused, tape);
        for ((name, expected), (_, found)) in plain.iter().zip(&other) {
            let scale = f64::try_from(expected.abs().max()).unwrap().max(1e-3);
            let error = f64::try_from((expected - found).abs().max()).unwrap();
            assert!(
                error < 2e-4 * scale,
                "{name}: {error} of {scale}, fused {fused}"
            );
        }
    }
}
