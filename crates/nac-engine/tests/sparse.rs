//! Attention over edges computes what attention over all pairs computes, for every way in which links are cut.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use nac_core::model::{EvaluationLinks, KernelConfig, ModelFile, Preset, ReadInSends};
use nac_core::{Csr, LinkKernel, SelfEdges, Streams, cosine_distance, hard_sample};
use nac_engine::{Connectivity, CoreEngine, EngineOptions, Inputs, ModelWeights, Precision};
use ndarray::{Array2, Array3, ArrayView2};

const MODULES: usize = 70;
/// Where the processors' signatures are.
const SIGNATURES: &str = "latent_graphs.0.mediator_latents.signatures_";

/// A small circuit on tokens, after `change`.
fn circuit(change: impl FnOnce(&mut ModelFile)) -> ModelFile {
    let mut file = Preset::get("cpu-listops").unwrap().file;
    let circuit = &mut file.model.circuit;
    circuit.modules = MODULES;
    circuit.read_out_modules = 9;
    circuit.state_dim = 24;
    circuit.signature_dim = 6;
    circuit.propagators = 2;
    circuit.propagator.attention.heads = Some(3);
    circuit.propagator.attention.head_dim = 12;
    change(&mut file);
    file
}

/// The same kernel in propagators and read-out.
fn kernel(change: impl Fn(&mut KernelConfig)) -> ModelFile {
    circuit(|file| {
        let circuit = &mut file.model.circuit;
        change(&mut circuit.propagator.attention.kernel);
        change(&mut circuit.read_out.attention.kernel);
    })
}

fn tokens() -> Array2<i64> {
    Array2::from_shape_fn((3, 49), |(i, j)| ((5 * i + 3 * j) % 15) as i64 + 1)
}

fn weights(file: &ModelFile) -> ModelWeights {
    CoreEngine::random(file.clone(), 1, EngineOptions::default())
        .unwrap()
        .1
}

fn engine(file: &ModelFile, options: EngineOptions) -> CoreEngine {
    CoreEngine::random(file.clone(), 1, options).unwrap().0
}

fn states(engine: &CoreEngine) -> BTreeMap<String, Array3<f32>> {
    let tokens = tokens();
    let (logits, mut states) = engine
        .infer_with_states(&Inputs::tokens(tokens.view()))
        .unwrap();
    let classes = logits.ncols();
    let logits = logits.into_shape_with_order((3, 1, classes)).unwrap();
    states.insert("logits".into(), logits);
    states
}

/// Largest difference of any state or logit, as a share of the largest of its kind.
fn difference(a: &CoreEngine, b: &CoreEngine) -> f32 {
    let (a, b) = (states(a), states(b));
    assert_eq!(a.len(), 7);
    let largest = |x: &Array3<f32>| x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    a.iter()
        .map(|(name, a)| {
            assert!(a.iter().all(|x| x.is_finite()), "{name}");
            largest(&(a - &b[name])) / largest(a)
        })
        .fold(0.0, f32::max)
}

fn options(connectivity: Connectivity) -> EngineOptions {
    EngineOptions {
        connectivity,
        threads: 1,
        ..Default::default()
    }
}

/// Sparse against dense with the same options otherwise; returns the sparse one.
fn compare(file: &ModelFile, more: &EngineOptions) -> CoreEngine {
    let with = |connectivity| EngineOptions {
        connectivity,
        ..more.clone()
    };
    let dense = engine(file, with(Connectivity::Dense));
    let sparse = engine(file, with(Connectivity::Sparse));
    assert_eq!(dense.propagator_edges(0), None);
    assert!(sparse.propagator_edges(1).unwrap() < MODULES * MODULES);
    assert_eq!(sparse.propagator_edges(2), None);
    let difference = difference(&dense, &sparse);
    assert!(difference < 1e-6, "{difference}");
    sparse
}

#[test]
fn truncation() {
    for distance in [0.1, 0.6, 1.2] {
        let file = kernel(|kernel| kernel.truncation = Some(distance));
        let sparse = compare(&file, &options(Connectivity::Sparse));
        assert!(sparse.read_out_edges().unwrap() < 9 * MODULES);
    }
}

#[test]
fn threshold() {
    let file = kernel(|kernel| kernel.evaluation = EvaluationLinks::Threshold);
    compare(&file, &options(Connectivity::Sparse));
}

#[test]
fn eliminated_diagonal() {
    let file = circuit(|file| {
        let kernel = &mut file.model.circuit.propagator.attention.kernel;
        kernel.eliminate_diagonal = true;
    });
    let sparse = compare(&file, &options(Connectivity::Sparse));
    assert_eq!(sparse.propagator_edges(0), Some(MODULES * (MODULES - 1)));
    // Nothing cuts the links of the read-out.
    assert_eq!(sparse.read_out_edges(), None);
}

#[test]
fn links_after_the_softmax() {
    for (normalize, threshold) in [(false, false), (true, false), (true, true)] {
        let mut file = kernel(|kernel| {
            kernel.truncation = Some(0.7);
            if threshold {
                kernel.evaluation = EvaluationLinks::Threshold;
            }
        });
        let attention = &mut file.model.circuit.propagator.attention;
        attention.scale_attention_by_affinities_after_softmax = true;
        attention.normalize_kernel_along_keys = normalize;
        compare(&file, &options(Connectivity::Sparse));
    }
}

#[test]
fn read_in_modules_as_senders() {
    let mut file = kernel(|kernel| kernel.truncation = Some(0.7));
    let circuit = &mut file.model.circuit;
    circuit.read_in_modules = Some(45);
    circuit.wiring.read_in_states_become_processors = false;
    circuit.wiring.read_in_sends_to_processors = ReadInSends::Every;
    circuit.wiring.read_in_sends_to_read_out = true;
    circuit
        .propagator
        .attention
        .scale_attention_by_affinities_after_softmax = true;
    compare(&file, &options(Connectivity::Sparse));
}

#[test]
fn receivers_without_any_edge_hear_nothing() {
    // Read-out modules are no kind of the processors, so they have no self links.
    let mut file = circuit(|_| {});
    file.model.circuit.read_out.attention.kernel.truncation = Some(0.05);
    file.model.circuit.propagator.attention.kernel.truncation = Some(0.3);
    let sparse = compare(&file, &options(Connectivity::Sparse));
    assert_eq!(sparse.read_out_edges(), Some(0));
    // Of processors, by a graph with edges to the last one only.
    let mut offsets = vec![0; MODULES];
    offsets.push(2);
    let graph = Csr::new(MODULES, offsets, vec![3, 40], None).unwrap();
    let more = EngineOptions {
        graph: Some(Arc::new(graph)),
        ..options(Connectivity::Sparse)
    };
    assert_eq!(compare(&file, &more).propagator_edges(0), Some(2));
}

#[test]
fn weak_links() {
    let file = circuit(|_| {});
    let plain = engine(&file, options(Connectivity::Auto));
    for (min, changes) in [(0.3, true), (0.9, true), (1e-4, false)] {
        let more = EngineOptions {
            min_link_probability: Some(min),
            ..options(Connectivity::Dense)
        };
        let cut = engine(&file, more.clone());
        assert_eq!(difference(&plain, &cut) > 1e-4, changes, "{min}");
        if changes {
            compare(&file, &more);
        }
    }
}

/// Log link probabilities of the processors under a truncation.
fn logs(file: &ModelFile, truncation: f64) -> Array2<f32> {
    let weights = weights(file);
    let (shape, values) = weights.get(SIGNATURES).unwrap();
    let signatures = ArrayView2::from_shape((shape[0], shape[1]), values).unwrap();
    let kernel = LinkKernel::new(1.0).unwrap();
    let kernel = kernel.with_truncation(truncation).unwrap();
    let distance = cosine_distance(signatures, signatures).unwrap();
    kernel.log_link_probability(distance.view()).unwrap()
}

#[test]
fn a_given_graph_takes_the_place_of_the_links() {
    let mut file = circuit(|_| {});
    let logs = logs(&file, 0.8);
    let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in logs.rows() {
        for (j, log) in row.iter().enumerate().filter(|(_, log)| log.is_finite()) {
            columns.push(j);
            values.push(f64::from(*log));
        }
        offsets.push(columns.len());
    }
    let edges = columns.len();
    let graph = Csr::new(MODULES, offsets, columns, Some(values)).unwrap();
    let given = |connectivity| EngineOptions {
        graph: Some(Arc::new(graph.clone())),
        ..options(connectivity)
    };
    let sparse = compare(&file, &given(Connectivity::Sparse));
    assert_eq!(sparse.propagator_edges(0), Some(edges));
    file.model.circuit.propagator.attention.kernel.truncation = Some(0.8);
    let truncated = engine(&file, options(Connectivity::Dense));
    assert!(difference(&truncated, &sparse) < 1e-6);
    // A graph leaves nothing to be sampled.
    file.model.circuit.propagator.attention.kernel.evaluation = EvaluationLinks::Sample;
    assert!(CoreEngine::random(file.clone(), 1, options(Connectivity::Auto)).is_err());
    assert!(difference(&engine(&file, given(Connectivity::Auto)), &sparse) < 1e-6);
}

fn sampled(seed: u64) -> Csr {
    let p = Array2::from_elem((MODULES, MODULES), 0.05);
    let mut uniforms = Array2::zeros(p.raw_dim());
    let mut stream = Streams::new(seed).stream("graph");
    stream.fill_uniform_f64(uniforms.as_slice_mut().unwrap());
    hard_sample(p.view(), uniforms.view(), SelfEdges::AsDrawn).unwrap()
}

#[test]
fn sampled_graphs() {
    let file = circuit(|_| {});
    for seed in 0..4 {
        let graph = sampled(seed);
        let edges = graph.edges();
        let more = EngineOptions {
            graph: Some(Arc::new(graph)),
            ..options(Connectivity::Sparse)
        };
        assert_eq!(compare(&file, &more).propagator_edges(1), Some(edges));
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let file = kernel(|kernel| kernel.truncation = Some(0.7));
    let with = |threads| EngineOptions {
        threads,
        ..options(Connectivity::Sparse)
    };
    let (one, three) = (engine(&file, with(1)), engine(&file, with(3)));
    assert_eq!(states(&one), states(&three));
    // Nor do calls before.
    assert_eq!(states(&one), states(&one));
}

#[test]
fn bfloat16_of_everything_else_is_near() {
    let file = kernel(|kernel| kernel.truncation = Some(0.7));
    let sparse = |precision| EngineOptions {
        precision,
        ..options(Connectivity::Sparse)
    };
    let exact = engine(&file, sparse(Precision::F32));
    let near = engine(&file, sparse(Precision::Bf16));
    let difference = difference(&exact, &near);
    assert!(difference > 0.0 && difference < 0.05, "{difference}");
}

#[test]
fn auto_looks_at_the_density() {
    for (truncation, is_sparse) in [(0.1, true), (1.0, false)] {
        let file = kernel(|kernel| kernel.truncation = Some(truncation));
        let auto = engine(&file, options(Connectivity::Auto));
        assert_eq!(auto.propagator_edges(0).is_some(), is_sparse);
        let dense = engine(&file, options(Connectivity::Dense));
        assert!(difference(&dense, &auto) < 1e-6);
    }
}

#[test]
fn what_has_no_edges_is_refused() {
    let refused = |file: &ModelFile, options: EngineOptions| {
        let error = CoreEngine::random(file.clone(), 1, options).unwrap_err();
        error.to_string()
    };
    let plain = circuit(|_| {});
    let sparse = options(Connectivity::Sparse);
    let error = refused(&plain, sparse.clone());
    assert!(error.contains("connectivity"), "{error}");
    let graph = |graph: Csr| EngineOptions {
        graph: Some(Arc::new(graph)),
        ..EngineOptions::default()
    };
    let error = refused(&plain, graph(Csr::new(3, vec![0], vec![], None).unwrap()));
    assert!(error.contains("70 receivers"), "{error}");
    let positive = Csr::new(1, vec![0, 1], vec![0], Some(vec![0.1])).unwrap();
    let error = refused(&plain, graph(positive));
    assert!(error.contains("logarithm"), "{error}");
    for min in [0.0, -1.0, 1.5, f64::NAN] {
        let min_link_probability = Some(min);
        let options = EngineOptions {
            min_link_probability,
            ..EngineOptions::default()
        };
        let error = refused(&plain, options);
        assert!(error.contains("min_link_probability"), "{error}");
    }
    let mut file = circuit(|_| {});
    let attention = &mut file.model.circuit.propagator.attention;
    attention.mask_attn_scores_with_affinities = false;
    let error = refused(&file, graph(sampled(0)));
    assert!(
        error.contains("mask_attn_scores_with_affinities"),
        "{error}"
    );
    let mut file = circuit(|_| {});
    file.model.circuit.wiring.read_in_sends_to_processors = ReadInSends::Every;
    let error = refused(&file, graph(sampled(0)));
    assert!(error.contains("read_in_sends_to_processors"), "{error}");
    let perceiver = Preset::get("imagenet-perceiver-io").unwrap().file;
    let error = refused(&perceiver, sparse);
    assert!(error.contains("no links that could be cut"), "{error}");
}
