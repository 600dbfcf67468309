//! Parity with recordings of the authors' code: graph generators (statistics; edges where nothing is
//! random) and presets (loss, gradient, trajectory of Adam, score).

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use nac_core::graph::signature_fit::{FitObjective, FitTarget, fit_signatures};
use nac_core::graph::{GraphGenerator, clustering_coefficient, is_connected};
use nac_core::{Csr, Streams};
use ndarray::{Array2, ArrayD};
use support::Recording;

/// The generator that a recording's configuration asks for.
fn generator(recording: &Recording) -> GraphGenerator {
    let number = |key| recording.config(key).unwrap();
    match recording.json["config"]["graph_type"].as_str().unwrap() {
        "erdos-renyi" => GraphGenerator::ErdosRenyi { p: number("p") },
        "watts-strogatz" => GraphGenerator::from_name("watts-strogatz").unwrap(),
        "planted-partition" => GraphGenerator::PlantedPartition {
            clusters: number("l") as usize,
            p_in: number("p_in"),
            p_out: number("p_out"),
        },
        "barabasi-albert" => GraphGenerator::BarabasiAlbert {
            m: number("m") as usize,
        },
        "ring-of-cliques" => GraphGenerator::RingOfCliques {
            cliques: number("num_cliques") as usize,
        },
        other => panic!("no generator for {other}"),
    }
}

fn adjacency(recording: &Recording, key: &str) -> Csr {
    Csr::from_dense(recording.matrix(key).view())
        .unwrap()
        .without_values()
}

/// Numbers that a kind of graph pins: edges, least, greatest and mean degree, clustering, connection.
fn statistics(graph: &Csr) -> [f64; 6] {
    let degrees = graph.receiver_degrees();
    let (least, most) = (degrees.iter().min().unwrap(), degrees.iter().max().unwrap());
    [
        graph.edges() as f64 / 2.0,
        *least as f64,
        *most as f64,
        graph.edges() as f64 / degrees.len() as f64,
        clustering_coefficient(graph).unwrap(),
        f64::from(is_connected(graph).unwrap()),
    ]
}

/// Each statistic of the recorded graph lies within those of our draws (with 300 of them, a statistic
/// of the same distribution lies outside with probability 2/301 at most; degrees and edges, which are
/// whole numbers, almost never).
fn compare_statistics(recording: &Recording, draws: u64) {
    let n = recording.config("num_latents").unwrap() as usize;
    let theirs = statistics(&adjacency(recording, "out.adjacency"));
    for (key, value) in ["num_edges", "degree_min", "degree_max", "degree_mean"]
        .into_iter()
        .zip(theirs)
    {
        assert_eq!(recording.config(key).unwrap(), value, "{key}");
    }
    assert_eq!(f64::from(recording.flag("connected")), theirs[5]);
    let kind = generator(recording);
    let (mut low, mut high) = ([f64::INFINITY; 6], [f64::NEG_INFINITY; 6]);
    for seed in 0..draws {
        let graph = kind
            .generate(n, &mut Streams::new(seed).stream("graph"))
            .unwrap();
        for (i, value) in statistics(&graph).into_iter().enumerate() {
            (low[i], high[i]) = (low[i].min(value), high[i].max(value));
        }
    }
    for i in 0..6 {
        let fits = low[i] <= theirs[i] && theirs[i] <= high[i];
        let name = &recording.name;
        assert!(
            fits,
            "{name}, statistic {i}: {} not in {}..={}",
            theirs[i], low[i], high[i]
        );
    }
}

#[test]
fn random_graphs_have_the_recorded_statistics() {
    for name in [
        "barabasialbert",
        "erdosrenyi",
        "plantedpartition",
        "wattsstrogatz",
    ] {
        compare_statistics(&Recording::read(&format!("h_graph_{name}_n64")), 300);
    }
}

#[test]
fn a_large_graph_has_the_recorded_statistics() {
    if let Some(recording) = Recording::read_from_full_set("h_graph_barabasialbert_n640") {
        compare_statistics(&recording, 60);
    }
}

#[test]
fn the_ring_of_cliques_is_the_recorded_one() {
    let recording = Recording::read("h_graph_ringofcliques_n64");
    let ours = generator(&recording)
        .generate(64, &mut Streams::new(0).stream("graph"))
        .unwrap();
    assert_eq!(ours, adjacency(&recording, "out.adjacency"));
}

#[test]
fn presets() {
    for name in [
        "h_preset_ba_n64_hinge",
        "h_preset_ba_n64_mse",
        "h_preset_roc_n64_hinge_1000it",
    ] {
        compare_preset(&Recording::read(name));
    }
}

#[test]
fn other_presets() {
    for name in [
        "h_preset_planted_n64_hinge_trunc0.9",
        "h_preset_ws_n64_hinge",
    ] {
        if let Some(recording) = Recording::read_from_full_set(name) {
            compare_preset(&recording);
        }
    }
}

/// Loss and gradient at the recorded start, the course of Adam, and the score at its end.
fn compare_preset(recording: &Recording) {
    let number = |key| recording.config(key).unwrap();
    let objective = if recording.flag("use_hinge_loss") {
        FitObjective::Hinge
    } else {
        FitObjective::Mse
    };
    let graph = adjacency(recording, "in.adjacency");
    let target = FitTarget::new(&graph, objective, number("truncation")).unwrap();
    let start: Array2<f64> = recording.matrix("in.initial_signatures").mapv(f64::from);
    let (loss, gradient) = target.loss_and_gradient(start.view()).unwrap();
    let scalar = |value: f64| ArrayD::from_elem(vec![], value as f32);
    // Ours is in float64, so these compare with the recording's own rounding only.
    recording.compare_within("out.loss0", &scalar(loss), 1e-6);
    let gradient = gradient.mapv(|g| g as f32).into_dyn();
    recording.compare_within("grad.in.initial_signatures", &gradient, 2e-6);
    let fit = fit_signatures(
        start,
        &target,
        number("num_iters") as usize,
        number("learning_rate"),
    )
    .unwrap();
    let losses: ArrayD<f32> = fit
        .losses
        .iter()
        .map(|&l| l as f32)
        .collect::<ndarray::Array1<_>>()
        .into_dyn();
    // A thousand steps of Adam carry rounding on; the recording says how far in its own case.
    let signatures = fit.signatures.mapv(|s| s as f32).into_dyn();
    let largest = recording.tensors["out.final_signatures"].fold(0.0_f32, |m, s| m.max(s.abs()));
    let drift = 4.0 * number("f64_final_signature_max_err") / f64::from(largest) + 2e-6;
    // A loss is a mean over all pairs, in which little of the drift is left.
    recording.compare_within("out.loss_per_iter", &losses, 2e-6_f64.max(0.01 * drift));
    recording.compare_within("out.final_signatures", &signatures, drift);
    recording.compare_within("out.final_score", &scalar(fit.score), 1e-6);
}
