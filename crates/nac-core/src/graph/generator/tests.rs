//! Tests of the graph generators: what each kind promises about degrees.

use super::*;
use crate::Streams;
use crate::graph::{clustering_coefficient, density, is_connected};
use proptest::prelude::*;

fn draw(kind: GraphGenerator, n: usize, seed: u64) -> Csr {
    kind.generate(n, &mut Streams::new(seed).stream("graph"))
        .unwrap()
}

fn kind(name: &str, parts: usize, p: f64, q: f64) -> GraphGenerator {
    match GraphGenerator::from_name(name).unwrap() {
        GraphGenerator::ErdosRenyi { .. } => GraphGenerator::ErdosRenyi { p },
        GraphGenerator::WattsStrogatz { .. } => GraphGenerator::WattsStrogatz {
            k: Some(parts - 1),
            p,
        },
        GraphGenerator::PlantedPartition { .. } => GraphGenerator::PlantedPartition {
            clusters: parts,
            p_in: p,
            p_out: q,
        },
        GraphGenerator::BarabasiAlbert { .. } => GraphGenerator::BarabasiAlbert { m: parts - 1 },
        GraphGenerator::RingOfCliques { .. } => GraphGenerator::RingOfCliques { cliques: parts },
        other => other,
    }
}

proptest! {
    #[test]
    fn graphs_are_undirected_without_self_edges_and_fixed_by_the_seed(
        n in 2_usize..50,
        parts in 2_usize..50,
        p in 0.0_f64..=1.0,
        q in 0.0_f64..=1.0,
        seed: u64,
    ) {
        let parts = parts.min(n);
        for name in GraphGenerator::NAMES {
            let kind = kind(name, parts, p, q);
            if kind.check(n).is_err() {
                continue; // grids, barbells and hypercubes have certain sizes
            }
            let graph = draw(kind, n, seed);
            prop_assert_eq!(graph.shape(), (n, n));
            prop_assert_eq!(&graph, &graph.transpose());
            prop_assert!(graph.iter().all(|(i, j, _)| i != j), "{}", name);
            prop_assert_eq!(&graph, &draw(kind, n, seed));
        }
    }

    #[test]
    fn counts_of_edges_that_are_certain(n in 3_usize..60, m in 1_usize..10, k in 0_usize..20, p in 0.0_f64..=1.0, seed: u64) {
        let (m, k) = (m.min(n - 1), k.min(n - 1));
        // The star has m edges, every later module brings m.
        let growth = draw(GraphGenerator::BarabasiAlbert { m }, n, seed);
        prop_assert_eq!(growth.edges(), 2 * (m + (n - m - 1) * m));
        prop_assert!(is_connected(&growth).unwrap());
        prop_assert!(growth.receiver_degrees()[m + 1..].iter().all(|&degree| degree >= m));
        // Moving links keeps their number; each module keeps the ones that start at it.
        let world = draw(GraphGenerator::WattsStrogatz { k: Some(k), p }, n, seed);
        prop_assert_eq!(world.edges(), n * (k / 2) * 2);
        prop_assert!(world.receiver_degrees().iter().all(|&degree| degree >= k / 2));
    }
}

#[test]
fn an_unmoved_small_world_is_the_ring() {
    let graph = draw(GraphGenerator::WattsStrogatz { k: Some(4), p: 0.0 }, 9, 0);
    for (i, row) in graph.rows().enumerate() {
        let mut ring = [(i + 1) % 9, (i + 2) % 9, (i + 7) % 9, (i + 8) % 9];
        ring.sort_unstable();
        assert_eq!(row, ring);
    }
    // All links moved: no longer clustered like the ring (0.5), but like a random graph.
    let moved = draw(
        GraphGenerator::WattsStrogatz {
            k: Some(10),
            p: 1.0,
        },
        400,
        0,
    );
    assert!(clustering_coefficient(&moved).unwrap() < 0.1);
}

#[test]
fn random_graphs_have_the_density_they_promise() {
    // The number of edges is a sum of independent draws: five standard deviations (error rate below 1e-6).
    let (n, pairs) = (200_usize, 200.0 * 199.0 / 2.0);
    for (seed, p) in [(0, 0.1), (1, 0.5), (2, 0.9)] {
        let edges = draw(GraphGenerator::ErdosRenyi { p }, n, seed).edges() as f64 / 2.0;
        let deviation = (pairs * p * (1.0 - p)).sqrt();
        assert!(
            (edges - pairs * p).abs() < 5.0 * deviation,
            "{edges} at {p}"
        );
    }
    let kind = GraphGenerator::PlantedPartition {
        clusters: 8,
        p_in: 0.9,
        p_out: 0.05,
    };
    let graph = draw(kind, n, 3);
    let inside = graph.iter().filter(|(i, j, _)| i / 25 == j / 25).count() as f64 / 2.0;
    let (own, other) = (8.0 * 25.0 * 24.0 / 2.0, pairs - 8.0 * 25.0 * 24.0 / 2.0);
    assert!((inside - own * 0.9).abs() < 5.0 * (own * 0.09_f64).sqrt());
    let outside = graph.edges() as f64 / 2.0 - inside;
    assert!((outside - other * 0.05).abs() < 5.0 * (other * 0.0475_f64).sqrt());
    assert_eq!(density(&draw(GraphGenerator::Complete {}, 20, 0)), 0.95);
}

#[test]
fn growth_makes_hubs() {
    // A random graph with as many edges has no module of 30 links (mean 4, Poisson: below 1e-16).
    let grown = draw(GraphGenerator::BarabasiAlbert { m: 2 }, 1000, 0);
    assert!(grown.receiver_degrees().into_iter().max().unwrap() > 30);
}

#[test]
fn cliques_of_uneven_size_and_single_ones() {
    let graph = draw(GraphGenerator::RingOfCliques { cliques: 3 }, 8, 0);
    // Sizes 3, 3, 2: 3 + 3 + 1 edges inside, 3 between.
    assert_eq!(graph.edges(), 2 * 10);
    for (a, b) in [(1, 3), (4, 6), (7, 0)] {
        assert!(graph.row(a).unwrap().contains(&b), "{a} {b}");
    }
    let ring = draw(GraphGenerator::RingOfCliques { cliques: 5 }, 5, 0);
    assert!(ring.receiver_degrees().iter().all(|&degree| degree == 2));
}

#[test]
fn every_name_builds_and_files_are_checked() {
    let read = |text: &str| serde_json::from_str::<GraphGenerator>(text);
    for name in GraphGenerator::NAMES {
        let kind = GraphGenerator::from_name(name).unwrap();
        assert_eq!(kind.name(), name);
        assert_eq!(read(&format!(r#"{{"name": "{name}"}}"#)).unwrap(), kind);
        assert_eq!(read(&serde_json::to_string(&kind).unwrap()).unwrap(), kind);
        assert!(
            read(&format!(r#"{{"name": "{name}", "size": 3}}"#)).is_err(),
            "{name}"
        );
        assert!(
            kind.generate(0, &mut Streams::new(0).stream("graph"))
                .is_err()
        );
    }
    assert!(GraphGenerator::from_name("lollipop").is_err());
    for wrong in [
        r#"{"name": "erdos-renyi", "p": 1.5}"#,
        r#"{"name": "watts-strogatz", "k": 30}"#,
        r#"{"name": "watts-strogatz", "p": -1}"#,
        r#"{"name": "planted-partition", "l": 31}"#,
        r#"{"name": "planted-partition", "p_in": 2}"#,
        r#"{"name": "barabasi-albert", "m": 0}"#,
        r#"{"name": "barabasi-albert", "m": 30}"#,
        r#"{"name": "ring-of-cliques", "num_cliques": 0}"#,
        r#"{"name": "grid-graph", "width": 7}"#,
        r#"{"name": "hypercube"}"#,
    ] {
        let kind = read(wrong).unwrap();
        assert!(
            kind.generate(30, &mut Streams::new(0).stream("graph"))
                .is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn grids_barbells_and_hypercubes_have_their_edges() {
    let grid = |periodic| GraphGenerator::GridGraph {
        width: Some(3),
        periodic,
    };
    assert_eq!(draw(grid(false), 6, 0).edges(), 2 * (4 + 3));
    // A column of two has one link, however it is closed.
    let torus = draw(grid(true), 6, 0);
    assert_eq!(torus.edges(), 2 * (6 + 3));
    assert!(torus.row(0).unwrap().contains(&2));
    let barbell = draw(GraphGenerator::Barbell {}, 8, 0);
    assert_eq!(barbell.edges(), 2 * (6 + 6 + 1));
    assert!(barbell.row(3).unwrap().contains(&4));
    let cube = draw(GraphGenerator::Hypercube {}, 8, 0);
    assert!(cube.receiver_degrees().iter().all(|&degree| degree == 3));
    let odd = GraphGenerator::Barbell {}.check(9).unwrap_err().to_string();
    assert!(odd.contains("even"), "{odd}");
}
