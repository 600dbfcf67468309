//! Single layers: examples with different codes, and arrays that do not fit.
#![allow(missing_docs, clippy::unwrap_used)]

use nac_core::Streams;
use nac_core::model::spec::{AttentionRole, ProjectionSpec, SkmdpaSpec, Surroundings};
use nac_core::model::{
    CircuitConfig, HeadConfig, KernelConfig, ModFcConfig, ModFfnConfig, ReadInConfig, ReadInKind,
    SkmdpaConfig,
};
use nac_engine::single::{ModuleArrays, SingleLayer};
use nac_engine::{EngineError, ModelWeights};
use ndarray::{Array3, ArrayView3, Axis, s};

fn normal(name: &str, shape: (usize, usize, usize)) -> Array3<f32> {
    let mut values = vec![0.0; shape.0 * shape.1 * shape.2];
    Streams::new(2).stream(name).fill_normal(&mut values);
    Array3::from_shape_vec(shape, values).unwrap()
}

fn weights(tensors: &[(&str, &[usize])]) -> ModelWeights {
    let mut weights = ModelWeights::new();
    for (name, shape) in tensors {
        let mut values = vec![0.0; shape.iter().product()];
        Streams::new(1).stream(name).fill_normal(&mut values);
        if name.ends_with("bandwidth") {
            values.fill(1.0);
        }
        weights.insert(*name, shape, values).unwrap();
    }
    weights
}

/// Attention of states of 6 features and codes of 4, one head of 3.
fn attention() -> (ModelWeights, SkmdpaSpec) {
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("kernel.bandwidth".into(), vec![]),
        ("receiver_layernorm.weight".into(), vec![6]),
        ("receiver_layernorm.bias".into(), vec![6]),
        ("exit_layer.native_bias".into(), vec![6]),
    ];
    for (name, inputs, outputs) in [
        ("query_compiler", 6, 3),
        ("key_compiler", 6, 3),
        ("value_compiler", 6, 3),
        ("exit_layer", 3, 6),
    ] {
        tensors.push((format!("{name}.native_weight"), vec![outputs, inputs]));
        tensors.push((format!("{name}.scale.weight"), vec![inputs, 4]));
        tensors.push((format!("{name}.scale_gain"), vec![]));
    }
    let tensors: Vec<(&str, &[usize])> = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), &shape[..]))
        .collect();
    let config = SkmdpaConfig {
        heads: Some(1),
        head_dim: 3,
        ..SkmdpaConfig::default()
    };
    let mod_fc = ModFcConfig::default();
    let spec = config.resolve(&Surroundings::new(6, 4, &mod_fc), AttentionRole::Propagator);
    (weights(&tensors), spec.unwrap())
}

fn example(array: &Array3<f32>, index: usize) -> ArrayView3<'_, f32> {
    array.slice(s![index..=index, .., ..])
}

#[test]
fn examples_with_codes_and_signatures_of_their_own() {
    let (weights, spec) = attention();
    let layer = SingleLayer::new(&weights);
    let arrays = |who: &str, modules| {
        ["states", "signatures", "codes"].map(|part| {
            let width = [("states", 6), ("signatures", 5), ("codes", 4)];
            let width = width.iter().find(|(name, _)| *name == part).unwrap().1;
            normal(&format!("{who} {part}"), (3, modules, width))
        })
    };
    let (receivers, senders) = (arrays("receivers", 33), arrays("senders", 7));
    let all = |[states, signatures, codes]: &[Array3<f32>; 3], range: std::ops::Range<usize>| {
        [states, signatures, codes].map(|a| a.slice(s![range.clone(), .., ..]).to_owned())
    };
    let run = |range: std::ops::Range<usize>| {
        let (receivers, senders) = (all(&receivers, range.clone()), all(&senders, range));
        let [a, b] = [&receivers, &senders].map(|arrays| ModuleArrays {
            states: arrays[0].view(),
            signatures: arrays[1].view(),
            codes: arrays[2].view(),
        });
        layer.attention(&spec, a, b).unwrap()
    };
    let together = run(0..3);
    assert_eq!(together.dim(), (3, 33, 6));
    for index in 0..3 {
        assert_eq!(run(index..index + 1), example(&together, index));
    }
    assert_ne!(
        together.index_axis(Axis(0), 0),
        together.index_axis(Axis(0), 1)
    );
}

#[test]
fn arrays_that_do_not_fit() {
    let (weights, spec) = attention();
    let layer = SingleLayer::new(&weights);
    let good = [
        normal("x", (2, 5, 6)),
        normal("s", (1, 5, 3)),
        normal("c", (1, 5, 4)),
    ];
    let modules = |states, signatures, codes| ModuleArrays {
        states,
        signatures,
        codes,
    };
    let [states, signatures, codes] = good.each_ref().map(|array| array.view());
    let fit = modules(states, signatures, codes);
    assert!(layer.attention(&spec, fit, fit).is_ok());
    let (wide, few, many) = (
        normal("x", (2, 5, 7)),
        normal("c", (1, 4, 4)),
        normal("c", (3, 5, 4)),
    );
    for wrong in [
        modules(wide.view(), signatures, codes),
        modules(states, signatures, few.view()),
        modules(states, signatures, many.view()),
        modules(states, codes, codes),
    ] {
        let error = layer.attention(&spec, fit, wrong).unwrap_err();
        assert!(matches!(error, EngineError::Input { .. }), "{error}");
    }
    let none = Array3::zeros((2, 0, 6));
    let mod_fc = ModFcConfig::default();
    let at = Surroundings::new(6, 4, &mod_fc);
    let projection = ProjectionSpec::new(&at, "", (6, 3), true).unwrap();
    let read_in = ReadInConfig {
        kind: ReadInKind::Projection,
        ..ReadInConfig::default()
    };
    let refused = [
        layer.projection(&projection, none.view(), codes),
        layer.feed_forward(
            &ModFfnConfig::default().resolve(&at).unwrap(),
            states,
            many.view(),
        ),
        layer.log_links(&KernelConfig::default(), many.view(), states),
        layer.read_in(
            &read_in.resolve(&at, 3).unwrap(),
            fit,
            normal("t", (2, 4, 3)).view(),
        ),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(matches!(error, EngineError::Input { .. }), "{error}");
    }
    let head = layer.head(
        &HeadConfig::default().resolve("", 6, 3).unwrap(),
        none.view(),
    );
    assert!(matches!(head.unwrap_err(), EngineError::Input { .. }));
    let circuit = layer.circuit(
        &CircuitConfig::default().resolve(6, 3).unwrap(),
        none.view(),
    );
    assert!(matches!(circuit.unwrap_err(), EngineError::Input { .. }));
}

#[test]
fn tensors_must_be_those_of_the_layer() {
    let x = normal("x", (1, 2, 3));
    let config = ModFcConfig::default();
    let run = |tensors: &[(&str, &[usize])], outputs: usize| {
        let weights = weights(tensors);
        let layer = SingleLayer::new(&weights);
        let at = Surroundings::new(3, 3, &config);
        let spec = ProjectionSpec::new(&at, "", (3, outputs), false).unwrap();
        layer.projection(&spec, x.view(), x.view())
    };
    let all: [(&str, &[usize]); 3] = [
        ("native_weight", &[4, 3]),
        ("scale.weight", &[3, 3]),
        ("scale_gain", &[]),
    ];
    assert_eq!(run(&all, 4).unwrap().dim(), (1, 2, 4));
    let missing = run(&all[..2], 4).unwrap_err();
    assert!(
        matches!(missing, EngineError::MissingWeight { .. }),
        "{missing}"
    );
    let shape = run(&all, 5).unwrap_err();
    assert!(matches!(shape, EngineError::WeightShape { .. }), "{shape}");
    let more = run(&[&all[..], &[("native_bias", &[4])]].concat(), 4).unwrap_err();
    assert!(
        matches!(more, EngineError::UnexpectedWeights { .. }),
        "{more}"
    );
    let zero = run(&all, 0).unwrap_err();
    assert!(matches!(zero, EngineError::InvalidWeight { .. }), "{zero}");
}
