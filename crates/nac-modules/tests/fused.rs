//! Fused blocks against libtorch's layers: values and gradients of whole small models, with every option that matters.
#![allow(clippy::unwrap_used)]

use nac_core::model::PerceiverIoConfig;
use nac_modules::baseline::PerceiverIo;
use nac_modules::fused::{FusedExecutor, TrainingPrecision};
use nac_modules::layer::{Activation, ProjectionKind, ScaleNormalization};
use nac_modules::prelude::*;
use nac_modules::tape::Tape;
use nac_modules::testing::LinearGenerator;
use nac_modules::tokenizer::Tokenizer;

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);
const BATCH: i64 = 3;

/// Passes tokens of 5 features through, the last two of them padding if asked for.
struct Given {
    padded: bool,
}

impl Tokenizer for Given {
    fn token_dim(&self) -> usize {
        5
    }

    fn tokenize(
        &self,
        inputs: &Inputs,
        _ctx: &mut ForwardContext<'_>,
    ) -> nac_modules::Result<Tokens> {
        let values = inputs.get("tokens")?.shallow_clone();
        if !self.padded {
            return Tokens::new(values);
        }
        let size = values.size();
        let real = Tensor::arange(size[1], (Kind::Int64, Device::Cpu)).lt(size[1] - 2);
        Tokens::masked(values, real.expand([size[0], size[1]], false))
    }
}

/// Waves, so that no two numbers are equal.
fn waves(size: &[i64]) -> Tensor {
    let count: i64 = size.iter().product();
    (Tensor::arange(count, FLOAT) * 0.7).sin().view(size)
}

fn small() -> CircuitConfig {
    let mut config = CircuitConfig {
        modules: 7,
        read_out_modules: 2,
        state_dim: 12,
        signature_dim: 3,
        propagators: 2,
        ..Default::default()
    };
    config.read_in.attention.head_dim = 5;
    config.propagator.attention.heads = Some(3);
    config.propagator.attention.head_dim = 4;
    config.read_out.attention.head_dim = 6;
    config.mod_fc.scale_gain = 0.5;
    config
}

fn circuit(config: &CircuitConfig, padded: bool, per_example: bool) -> Box<dyn Model> {
    let store = ParamStore::new(Device::Cpu, Kind::Float, 1);
    let tokenizer = |_: Scope<'_>| Ok(Box::new(Given { padded }) as Box<dyn Tokenizer>);
    Box::new(if per_example {
        NeuralCircuit::with_generator(store, config, 3, tokenizer, |mut scope, spec| {
            let generator = LinearGenerator::new(&mut scope, spec, "condition", 4)?;
            Ok(Box::new(generator.with_separate_input()))
        })
        .unwrap()
    } else {
        NeuralCircuit::new(store, config, 3, tokenizer).unwrap()
    })
}

/// Logits and gradients of one training pass.
struct Pass {
    logits: Tensor,
    gradients: Vec<(String, Tensor)>,
    blocks: usize,
}

fn pass(model: &dyn Model, fused: Option<&FusedExecutor>, step: u64) -> Pass {
    let tokens = waves(&[BATCH, 9, 5]).set_requires_grad(true);
    let inputs = Inputs::tokens(tokens.shallow_clone()).with("condition", waves(&[BATCH, 4]));
    let mut noise = StreamNoise::new(Streams::new(3 + step));
    let mut tape = Tape::new();
    let mut ctx = ForwardContext::training(&mut noise).with_tape(&mut tape);
    let before = fused.map_or(0, FusedExecutor::blocks_run);
    if let Some(executor) = fused {
        ctx = ctx.with_fused(executor);
    }
    let output = model.forward(&inputs, &mut ctx).unwrap();
    drop(ctx);
    let weights = waves(&output.logits.size()) + 0.3;
    let loss =
        (&output.logits * weights).sum(Kind::Float) + output.logits.square().sum(Kind::Float);
    let mut names = vec!["tokens".to_owned()];
    let mut leaves = vec![&tokens];
    for (name, tensor) in model.params().parameters() {
        names.push(name.to_owned());
        leaves.push(tensor);
    }
    let gradients = tape.backward(&loss, &leaves).unwrap();
    Pass {
        logits: output.logits.detach().copy(),
        gradients: names
            .into_iter()
            .zip(
                gradients
                    .iter()
                    .map(|g| if g.defined() { g.copy() } else { Tensor::new() }),
            )
            .collect(),
        blocks: fused.map_or(0, FusedExecutor::blocks_run) - before,
    }
}

fn largest(tensor: &Tensor) -> f64 {
    if tensor.defined() && tensor.numel() > 0 {
        tensor.abs().max().double_value(&[])
    } else {
        0.0
    }
}

/// Asserts that both executors agree to `tolerance` of the largest entry.
fn assert_close(case: &str, fused: &Pass, torch: &Pass, tolerance: f64) {
    let error = largest(&(&fused.logits - &torch.logits));
    let bound = tolerance * largest(&torch.logits);
    assert!(
        error <= bound,
        "{case}: logits differ by {error:e} of {bound:e}"
    );
    let greatest = torch.gradients.iter().map(|(_, g)| largest(g));
    let greatest = greatest.fold(0.0, f64::max);
    for ((name, ours), (_, theirs)) in fused.gradients.iter().zip(&torch.gradients) {
        if !theirs.defined() || !ours.defined() {
            assert_eq!(largest(ours) + largest(theirs), 0.0, "{case}: {name}");
            continue;
        }
        assert_eq!(ours.size(), theirs.size(), "{case}: {name}");
        let error = largest(&(ours - theirs));
        let bound = tolerance * (largest(theirs) + 1e-2 * greatest);
        assert!(
            error <= bound,
            "{case}: gradient of {name} differs by {error:e} of {bound:e}"
        );
    }
}

fn compare(case: &str, model: &dyn Model, blocks: usize) {
    let executor = FusedExecutor::new(1, TrainingPrecision::F32).unwrap();
    for step in 0..2 {
        let fused = pass(model, Some(&executor), step);
        let torch = pass(model, None, step);
        assert_close(case, &fused, &torch, 1e-4);
        assert_eq!(fused.blocks, blocks, "{case}");
    }
}

type Change<'c> = (&'c str, &'c dyn Fn(&mut CircuitConfig), usize);

#[test]
fn circuits_have_the_values_and_gradients_of_libtorch() {
    let all = 8;
    let changes: [Change<'_>; 18] = [
        ("defaults", &|_| (), all),
        (
            "heads and biases",
            &|c| {
                c.read_in.attention.heads = 2;
                c.read_in.attention.qkv_bias = true;
                c.propagator.attention.qkv_bias = true;
                c.read_out.attention.heads = Some(2);
            },
            all,
        ),
        (
            "shared projectors",
            &|c| c.read_in.attention.share_key_value_projectors = true,
            all,
        ),
        ("drop-path", &|c| c.drop_path = 0.5, all),
        (
            "narrow codes",
            &|c| {
                c.code_dim = Some(5);
                c.seeder.mean = nac_core::model::StateMean::Projection;
            },
            all,
        ),
        (
            "code noise",
            &|c| {
                c.read_in.code_noise = 0.2;
                c.propagator.code_noise = 0.2;
            },
            all,
        ),
        (
            "layer scale",
            &|c| {
                c.read_in.attention.layer_scale = Some(0.3);
                c.propagator.ffn.layer_scale = Some(0.4);
                c.propagator.attention.layer_scale = Some(0.4);
            },
            all,
        ),
        (
            "plain projections",
            &|c| c.mod_fc.kind = ProjectionKind::Fc,
            all,
        ),
        (
            "other scales",
            &|c| {
                c.mod_fc.scale_normalization = ScaleNormalization::L2;
                c.mod_fc.scale_dropout = 0.3;
            },
            all,
        ),
        (
            "fixed scale without one",
            &|c| {
                c.mod_fc.learnable_scale_gain = false;
                c.mod_fc.add_one_to_scale = false;
            },
            all,
        ),
        (
            "trained bandwidth",
            &|c| c.propagator.attention.kernel.learnable_bandwidth = true,
            all,
        ),
        (
            "without sampling, truncated",
            &|c| {
                for kernel in [
                    &mut c.propagator.attention.kernel,
                    &mut c.read_out.attention.kernel,
                ] {
                    kernel.stochastic = false;
                    kernel.truncation = Some(0.9);
                }
            },
            all,
        ),
        (
            "without links",
            &|c| c.propagator.attention.mask_attn_scores_with_affinities = false,
            all,
        ),
        (
            "no residual, other norms, GELU",
            &|c| {
                c.propagator.attention.residual = Some(false);
                c.propagator.attention.share_layernorm = Some(false);
                c.propagator.ffn.residual = false;
                c.propagator.ffn.activation = Activation::Gelu;
                c.read_in.attention.residual = false;
            },
            all,
        ),
        (
            "shared propagators",
            &|c| c.wiring.share_propagators = true,
            all,
        ),
        (
            "read-in sends",
            &|c| {
                c.wiring.read_in_states_become_processors = false;
                c.wiring.read_in_sends_to_processors = nac_core::model::ReadInSends::Every;
                c.wiring.read_in_sends_to_read_out = true;
                c.wiring.codes_per_propagator = true;
                c.read_in_modules = Some(4);
            },
            all,
        ),
        (
            "demodulated weights",
            &|c| c.mod_fc.kind = ProjectionKind::WModFc,
            0,
        ),
        (
            "links after the softmax",
            &|c| {
                c.propagator
                    .attention
                    .scale_attention_by_affinities_after_softmax = true;
            },
            all - 2,
        ),
    ];
    for (case, change, blocks) in changes {
        let mut config = small();
        change(&mut config);
        compare(case, circuit(&config, false, false).as_ref(), blocks);
    }
    compare("padding", circuit(&small(), true, false).as_ref(), all);
    compare(
        "a circuit for each example",
        circuit(&small(), true, true).as_ref(),
        all,
    );
}

fn perceiver(padded: bool, tied: bool) -> PerceiverIo {
    let config = PerceiverIoConfig {
        depth: 2,
        latents: 6,
        latent_dim: 12,
        query_dim: Some(10),
        latent_heads: 3,
        head_dim: 4,
        weight_tie_layers: tied,
        ..Default::default()
    };
    let store = ParamStore::new(Device::Cpu, Kind::Float, 1);
    PerceiverIo::new(store, &config, 3, |_| Ok(Box::new(Given { padded }))).unwrap()
}

#[test]
fn perceiver_io_has_the_values_and_gradients_of_libtorch() {
    for (padded, tied) in [(false, false), (true, true)] {
        let case = format!("padded {padded}, tied {tied}");
        let model = perceiver(padded, tied);
        let executor = FusedExecutor::new(1, TrainingPrecision::F32).unwrap();
        let fused = pass(&model, Some(&executor), 0);
        assert_close(&case, &fused, &pass(&model, None, 0), 1e-4);
        assert!(fused.blocks >= 7, "{case}: {}", fused.blocks);
    }
}

#[test]
fn any_number_of_threads_and_any_step_gives_the_same_bits() {
    for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
        let models = [
            circuit(&small(), true, true),
            Box::new(perceiver(false, false)),
        ];
        for model in models {
            let one = FusedExecutor::new(1, precision).unwrap();
            let two = FusedExecutor::new(2, precision).unwrap();
            let expected = pass(model.as_ref(), Some(&one), 0);
            // The same step again, and after others, in the same memory.
            let _ = pass(model.as_ref(), Some(&two), 1);
            for executor in [&one, &two] {
                let found = pass(model.as_ref(), Some(executor), 0);
                assert_eq!(found.logits, expected.logits);
                for ((name, found), (_, expected)) in
                    found.gradients.iter().zip(&expected.gradients)
                {
                    assert_eq!(found.defined(), expected.defined(), "{name}");
                    assert!(!found.defined() || found == expected, "{precision}: {name}");
                }
            }
        }
    }
}

#[test]
fn mixed_precision_is_near_single_precision() {
    let model = circuit(&small(), false, false);
    let mixed = FusedExecutor::new(1, TrainingPrecision::Mixed).unwrap();
    let mixed = pass(model.as_ref(), Some(&mixed), 0);
    let torch = pass(model.as_ref(), None, 0);
    // Operands are rounded to 8 bits of mantissa; the errors of sums average out.
    let [mut error, mut size] = [0.0; 2];
    for ((_, ours), (_, theirs)) in mixed.gradients.iter().zip(&torch.gradients) {
        if theirs.defined() {
            error += (ours - theirs).square().sum(Kind::Double).double_value(&[]);
            size += theirs.square().sum(Kind::Double).double_value(&[]);
        }
    }
    let error = (error / size).sqrt();
    assert!(error < 0.02, "gradients differ by {error:e} of their norm");
    let error = largest(&(&mixed.logits - &torch.logits)) / largest(&torch.logits);
    assert!(error < 0.02, "logits differ by {error:e}");
    assert_ne!(mixed.logits, torch.logits);
}

#[test]
fn steps_write_into_the_same_memory_until_tensors_are_to_be_kept() {
    let model = circuit(&small(), false, false);
    let executor = FusedExecutor::new(1, TrainingPrecision::F32).unwrap();
    let parameters: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
    let gradients = |step: u64| {
        let mut noise = StreamNoise::new(Streams::new(step));
        let mut tape = Tape::new();
        let ctx = ForwardContext::training(&mut noise).with_tape(&mut tape);
        let inputs = Inputs::tokens(waves(&[BATCH, 9, 5]));
        let output = model
            .forward(&inputs, &mut ctx.with_fused(&executor))
            .unwrap();
        let loss = output.logits.square().sum(Kind::Float);
        tape.backward(&loss, &parameters).unwrap()
    };
    let addresses = |gradients: &[Tensor]| -> Vec<usize> {
        let weights = gradients.iter().filter(|g| g.defined() && g.dim() == 2);
        weights.map(|g| g.data_ptr() as usize).collect()
    };
    let first = gradients(0);
    let copies: Vec<Tensor> = first
        .iter()
        .map(|g| if g.defined() { g.copy() } else { Tensor::new() })
        .collect();
    let second = gradients(1);
    let shared = addresses(&first)
        .iter()
        .zip(addresses(&second))
        .filter(|(a, b)| **a == *b)
        .count();
    assert!(
        shared * 10 >= addresses(&first).len() * 7,
        "{shared} of {}",
        addresses(&first).len()
    );
    let again = gradients(0);
    executor.keep_tensors();
    let _ = gradients(1);
    for (kept, expected) in again.iter().zip(&copies) {
        assert!(!kept.defined() || kept == expected);
    }
}
