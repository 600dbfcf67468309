//! Properties of layers that no recording shows: what permuting modules does, what a gain of zero is, and
//! that lower precision stays near.
#![allow(missing_docs, clippy::unwrap_used)]

use nac_core::model::spec::Surroundings;
use nac_core::rng::Streams;
use nac_modules::attention::{KernelConfig, SkmdpaConfig};
use nac_modules::circuit::{
    ModuleStates, Propagator, PropagatorConfig, ReadIn, ReadInConfig, ReadOut, ReadOutConfig,
};
use nac_modules::context::{ForwardContext, Noise, RecordedNoise, StreamNoise};
use nac_modules::layer::{ModFcConfig, ProjectionKind};
use nac_modules::params::ParamStore;
use nac_modules::{Result, Tokens};
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 2;
const MODULES: i64 = 6;
const PROCESSORS: i64 = 9;
const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);

/// A read-in, a propagator and a read-out with everything switched on that may be.
struct Blocks {
    store: ParamStore,
    read_in: ReadIn,
    propagator: Propagator,
    read_out: ReadOut,
}

/// States, signatures and codes of a set of modules.
type Set = [Tensor; 3];

fn draw(seed: u64, name: &str, shape: &[i64], kind: Kind) -> Tensor {
    let mut noise = StreamNoise::new(Streams::new(seed));
    let draws = noise.uniform(name, shape, Kind::Double, Device::Cpu);
    (draws.unwrap() * 4.0 - 2.0).to_kind(kind)
}

fn set(seed: u64, count: i64, kind: Kind) -> Set {
    [
        draw(seed, "states", &[BATCH, count, 8], kind),
        draw(seed, "signatures", &[count, 5], kind),
        draw(seed, "codes", &[count, 6], kind),
    ]
}

fn view([states, signatures, codes]: &Set) -> ModuleStates<'_> {
    ModuleStates {
        shared_states: None,
        states,
        signatures,
        codes,
    }
}

fn permuted([states, signatures, codes]: &Set, order: &Tensor) -> Set {
    [
        states.index_select(1, order),
        signatures.index_select(0, order),
        codes.index_select(0, order),
    ]
}

impl Blocks {
    fn new(kind: Kind, kernel: &KernelConfig, mod_fc: &ModFcConfig) -> Self {
        let mut store = ParamStore::new(Device::Cpu, kind, 11);
        let mut root = store.root();
        let at = |path| Surroundings {
            path,
            ..Surroundings::new(8, 6, mod_fc)
        };
        let attention = SkmdpaConfig {
            heads: Some(2),
            head_dim: 4,
            layer_scale: Some(0.5),
            scale_attention_by_affinities_after_softmax: true,
            kernel: kernel.clone(),
            ..Default::default()
        };
        let propagator = PropagatorConfig {
            attention,
            ..Default::default()
        };
        let read_out = ReadOutConfig {
            attention: SkmdpaConfig {
                head_dim: 4,
                kernel: kernel.clone(),
                ..Default::default()
            },
            use_head: true,
            pre_output_layernorm: true,
            ..Default::default()
        };
        let mut read_in = ReadInConfig::default();
        (read_in.attention.heads, read_in.attention.head_dim) = (2, 4);
        Self {
            read_in: ReadIn::new(&mut root, &read_in.resolve(&at("read_in"), 7).unwrap()).unwrap(),
            propagator: Propagator::new(&mut root, &propagator.resolve(&at("propagator")).unwrap())
                .unwrap(),
            read_out: ReadOut::new(&mut root, &read_out.resolve(&at("read_out"), 3).unwrap())
                .unwrap(),
            store,
        }
    }

    /// Read-in of tokens by processors, a propagation step, read-out by read-out modules.
    fn run(
        &self,
        tokens: &Tensor,
        processors: &Set,
        readers: &Set,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<[Tensor; 2]> {
        let tokens = Tokens::new(tokens.shallow_clone())?;
        let states = self.read_in.forward(&view(processors), &tokens, ctx)?;
        let [_, signatures, codes] = processors;
        let modules = ModuleStates {
            shared_states: None,
            states: &states,
            signatures,
            codes,
        };
        let states = self.propagator.forward(&modules, &modules, ctx)?;
        let modules = ModuleStates {
            states: &states,
            ..modules
        };
        let result = self.read_out.forward(&view(readers), &modules, ctx)?;
        Ok([states, result])
    }
}

fn evaluate(blocks: &Blocks, tokens: &Tensor, processors: &Set, readers: &Set) -> [Tensor; 2] {
    let mut ctx = ForwardContext::evaluation();
    blocks.run(tokens, processors, readers, &mut ctx).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double))
        .abs()
        .max()
        .double_value(&[])
}

#[test]
fn permuting_modules_permutes_their_outputs_and_nothing_else() {
    let truncated = KernelConfig {
        truncation: Some(0.8),
        ..Default::default()
    };
    for kernel in [KernelConfig::default(), truncated] {
        let blocks = Blocks::new(Kind::Double, &kernel, &ModFcConfig::default());
        for seed in 0..4 {
            let processors = set(seed, PROCESSORS, Kind::Double);
            let readers = set(seed + 100, MODULES, Kind::Double);
            let tokens = draw(seed, "tokens", &[BATCH, 5, 7], Kind::Double);
            let [states, result] = evaluate(&blocks, &tokens, &processors, &readers);
            let order = draw(seed, "order", &[PROCESSORS], Kind::Double).argsort(0, false);
            let shuffled = permuted(&processors, &order);
            let [states_2, result_2] = evaluate(&blocks, &tokens, &shuffled, &readers);
            assert!(distance(&states.index_select(1, &order), &states_2) < 1e-10);
            assert!(
                distance(&result, &result_2) < 1e-10,
                "read-out is not moved"
            );
            assert!(distance(&states, &states_2) > 1e-3, "the order did change");
            let order = draw(seed, "order", &[MODULES], Kind::Double).argsort(0, false);
            let shuffled = permuted(&readers, &order);
            let [states_3, result_3] = evaluate(&blocks, &tokens, &processors, &shuffled);
            assert!(
                distance(&states, &states_3) < 1e-10,
                "processors do not attend to readers"
            );
            assert!(distance(&result.index_select(1, &order), &result_3) < 1e-10);
        }
    }
}

#[test]
fn a_gain_of_zero_is_a_circuit_of_plain_projections() {
    let kernel = KernelConfig::default();
    let gainless = ModFcConfig {
        scale_gain: 0.0,
        ..Default::default()
    };
    let plain = ModFcConfig {
        kind: ProjectionKind::Fc,
        ..Default::default()
    };
    let modulated = Blocks::new(Kind::Double, &kernel, &gainless);
    let mut plain = Blocks::new(Kind::Double, &kernel, &plain);
    let weights = modulated.store.export().unwrap().into_iter();
    let weights = weights
        .filter(|(name, _)| !name.ends_with("scale_gain") && !name.ends_with("scale.weight"))
        .map(|(name, tensor)| (name.replace("native_", "lin."), tensor));
    plain.store.import("modulated", &weights.collect()).unwrap();
    let (processors, readers) = (
        set(1, PROCESSORS, Kind::Double),
        set(2, MODULES, Kind::Double),
    );
    let tokens = draw(3, "tokens", &[BATCH, 5, 7], Kind::Double);
    let ours = evaluate(&modulated, &tokens, &processors, &readers);
    let theirs = evaluate(&plain, &tokens, &processors, &readers);
    for (a, b) in ours.iter().zip(&theirs) {
        assert!(distance(a, b) < 1e-12);
    }
}

#[test]
fn lower_precision_runs_and_stays_near_in_both_directions() {
    let kernel = KernelConfig::default();
    let mut results = Vec::new();
    for kind in [Kind::Double, Kind::Float, Kind::BFloat16] {
        let blocks = Blocks::new(kind, &kernel, &ModFcConfig::default());
        let processors = set(1, PROCESSORS, kind).map(|t| t.set_requires_grad(true));
        let readers = set(2, MODULES, kind);
        let tokens = draw(3, "tokens", &[BATCH, 5, 7], kind);
        let links = [
            draw(4, "first", &[BATCH, PROCESSORS, PROCESSORS], Kind::Double),
            draw(4, "second", &[BATCH, MODULES, PROCESSORS], Kind::Double),
        ];
        let mut noise = RecordedNoise::new(links.map(|u| (u + 2.0) / 4.0));
        let mut ctx = ForwardContext::training(&mut noise);
        let [_, result] = blocks
            .run(&tokens, &processors, &readers, &mut ctx)
            .unwrap();
        assert_eq!(result.kind(), kind);
        result
            .to_kind(Kind::Double)
            .square()
            .sum(Kind::Double)
            .backward();
        let gradient = processors[2].grad();
        assert_eq!(gradient.kind(), kind);
        results.push((result, gradient));
    }
    let scale = |t: &Tensor| t.abs().max().double_value(&[]);
    let [(result, gradient), others @ ..] = results.as_slice() else {
        unreachable!("three precisions were run");
    };
    for ((other, other_gradient), near) in others.iter().zip([1e-5, 0.05]) {
        assert!(distance(result, other) < near * scale(result));
        assert!(distance(gradient, other_gradient) < 2.0 * near * scale(gradient));
    }
}

#[test]
fn code_noise_draws_for_read_in_receivers_and_senders_apart() {
    let mut store = ParamStore::new(Device::Cpu, Kind::Double, 5);
    let mut config = PropagatorConfig {
        code_noise: 0.1,
        ..Default::default()
    };
    config.attention.kernel.stochastic = false;
    let mod_fc = ModFcConfig::default();
    let spec = config.resolve(&Surroundings::new(8, 6, &mod_fc)).unwrap();
    let propagator = Propagator::new(&mut store.root(), &spec).unwrap();
    let modules = set(1, MODULES, Kind::Double);
    let _ = modules[2].narrow(0, 0, 1).fill_(0.0); // a code of zero is no error
    let half = || Tensor::full([MODULES, 6], 0.5, OPTIONS);
    let run = |draws: [Tensor; 2]| {
        let mut noise = RecordedNoise::new(draws);
        let mut ctx = ForwardContext::training(&mut noise);
        propagator
            .forward(&view(&modules), &view(&modules), &mut ctx)
            .unwrap()
    };
    let quiet = run([half(), half()]);
    let other = || draw(9, "u", &[MODULES, 6], Kind::Double) / 4.0 + 0.5;
    let (receivers, senders) = (run([other(), half()]), run([half(), other()]));
    assert!(distance(&quiet, &receivers) > 1e-4);
    assert!(distance(&quiet, &senders) > 1e-5);
    assert!(distance(&receivers, &senders) > 1e-5);
    assert!(receivers.sum(Kind::Double).double_value(&[]).is_finite());
}
