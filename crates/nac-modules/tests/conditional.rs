//! Circuits that depend on an input: one for each example, in the output, and with gradients.
#![allow(clippy::unwrap_used)]

use nac_modules::prelude::*;
use nac_modules::tape::Tape;
use nac_modules::testing::{LinearGenerator, Passthrough};
use nac_modules::tokenizer::ModelTokenizer;

const CPU: (Kind, Device) = (Kind::Double, Device::Cpu);

fn model() -> NeuralCircuit {
    let mut config = CircuitConfig {
        modules: 6,
        read_out_modules: 2,
        state_dim: 8,
        signature_dim: 3,
        propagators: 2,
        ..Default::default()
    };
    config.propagator.attention.heads = Some(2);
    let store = ParamStore::new(Device::Cpu, Kind::Double, 1);
    NeuralCircuit::with_generator(
        store,
        &config,
        3,
        |_| Ok(Box::new(Passthrough::new("tokens", 5))),
        |mut scope, spec| {
            let generator = LinearGenerator::new(&mut scope, spec, "condition", 4)?;
            Ok(Box::new(generator.with_separate_input()))
        },
    )
    .unwrap()
}

/// Waves, so that no two numbers are equal.
fn waves(size: &[i64]) -> Tensor {
    let count: i64 = size.iter().product();
    (Tensor::arange(count, CPU) * 0.7).sin().view(size)
}

fn inputs(batch: i64) -> Inputs {
    Inputs::tokens(waves(&[batch, 7, 5])).with("condition", waves(&[batch, 4]))
}

/// An own tokenizer sees the condition neither in `prepare` nor in `tokenize`.
#[test]
fn a_condition_is_kept_from_a_tokenizer_that_checks_its_inputs() {
    let config = CircuitConfig {
        modules: 4,
        read_out_modules: 2,
        state_dim: 8,
        propagators: 1,
        ..Default::default()
    };
    let spec = InputSpec::tokens(5, 4, 0);
    let model = NeuralCircuit::with_generator(
        ParamStore::cpu(1),
        &config,
        3,
        |scope| {
            let tokenizer = ModelTokenizer::new(scope, &ModelConfig::default(), &spec)?;
            Ok(Box::new(tokenizer))
        },
        |mut scope, spec| {
            let generator = LinearGenerator::new(&mut scope, spec, "condition", 4)?;
            Ok(Box::new(generator.with_separate_input()))
        },
    )
    .unwrap();
    let tokens = Inputs::tokens(Tensor::ones([2, 4], (Kind::Int64, Device::Cpu)));
    let inputs = tokens.with("condition", waves(&[2, 4]));
    let output = model.predict(&inputs).unwrap();
    assert_eq!(output.probabilities().unwrap().size(), [2, 3]);
    let links = output.graphs().next().unwrap().link_probabilities();
    assert_eq!(links.unwrap().size(), [2, 4, 4]);
    assert!(
        model
            .predict(&inputs.with("other", waves(&[2, 4])))
            .is_err()
    );
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    a.allclose(b, 1e-10, 1e-12, false)
}

#[test]
fn each_example_has_its_own_circuit_and_the_batch_a_mean_graph() {
    let model = model();
    let output = model.predict(&inputs(3)).unwrap();
    let graphs: Vec<_> = output.graphs().collect();
    assert_eq!(graphs.len(), 1, "fixed bandwidths share a graph");
    assert_eq!(graphs[0].name, "propagator.0");
    let links = graphs[0].link_probabilities().unwrap();
    assert_eq!(links.size(), [3, 6, 6]);
    assert!(!close(&links.get(0), &links.get(1)));
    let mean = graphs[0].mean_link_probabilities().unwrap();
    let expected = (links.get(0) + links.get(1) + links.get(2)) / 3.0;
    assert!(close(&mean, &expected));

    let alone = model.predict(&inputs(1)).unwrap();
    assert!(close(&alone.logits.get(0), &output.logits.get(0)));
    let alone = alone.graphs().next().unwrap().link_probabilities().unwrap();
    assert!(close(&alone.get(0), &links.get(0)));
    let codes = &output.circuit.as_ref().unwrap().circuit.processors.codes;
    assert_eq!(codes.size(), [3, 6, 8]);
}

#[test]
fn logits_and_mean_graph_reach_the_generator_with_a_tape_and_without() {
    let model = model();
    let names: Vec<&str> = model.params().parameters().map(|(name, _)| name).collect();
    let parameters: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
    let gradients = |with_tape: bool, logits: f64, graph: f64| {
        let mut noise = StreamNoise::new(Streams::new(3));
        let mut tape = Tape::new();
        let ctx = ForwardContext::training(&mut noise);
        let mut ctx = if with_tape {
            ctx.with_tape(&mut tape)
        } else {
            ctx
        };
        let output = model.forward(&inputs(3), &mut ctx).unwrap();
        drop(ctx);
        let mean = output.graphs().next().unwrap();
        let mean = mean.mean_link_probabilities().unwrap().square();
        let squares = output.logits.square().sum(Kind::Double);
        let loss = squares * logits + mean.sum(Kind::Double) * graph;
        tape.backward(&loss, &parameters).unwrap()
    };
    for (logits, graph) in [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (plain, taped) = (
            gradients(false, logits, graph),
            gradients(true, logits, graph),
        );
        for ((name, plain), taped) in names.iter().zip(&plain).zip(&taped) {
            let largest = |t: &Tensor| match t.defined() {
                true => t.abs().max().double_value(&[]),
                false => 0.0,
            };
            if name.contains(".to_signatures.") || (name.contains(".to_codes.") && logits > 0.0) {
                assert!(largest(plain) > 1e-8, "{name}, {logits}, {graph}");
            }
            if plain.defined() && taped.defined() {
                let difference = largest(&(plain - taped));
                assert!(difference <= 1e-9 * largest(plain).max(1e-3), "{name}");
            } else {
                assert_eq!((largest(plain), largest(taped)), (0.0, 0.0), "{name}");
            }
        }
    }
}

#[test]
fn a_missing_or_wrong_condition_is_named() {
    let model = model();
    let error = |inputs: &Inputs| model.predict(inputs).unwrap_err().to_string();
    assert!(error(&Inputs::tokens(waves(&[2, 7, 5]))).contains("condition"));
    let wrong = Inputs::tokens(waves(&[2, 7, 5])).with("condition", waves(&[2, 9]));
    assert!(!error(&wrong).is_empty());
}
