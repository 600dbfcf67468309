//! Rule: core ← engine, data; engine ← modules; engine, data ← predict; predict, modules ← train ← pytorch ← cli. What runs
//! without libtorch never depends on it, not even in tests.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::Metadata;

use super::finding::Finding;

/// For each package, the packages of this workspace that it may depend on.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("nac-core", &[]),
    ("nac-libtorch", &[]),
    ("nac-engine", &["nac-core"]),
    ("nac-data", &["nac-core"]),
    ("nac-setup", &["nac-data"]),
    ("nac-predict", &["nac-core", "nac-engine", "nac-data"]),
    ("nac-modules", &["nac-core", "nac-engine", "nac-libtorch"]),
    ("nac-dist", &["nac-libtorch"]),
    (
        "nac-train",
        &[
            "nac-core",
            "nac-engine",
            "nac-data",
            "nac-dist",
            "nac-libtorch",
            "nac-modules",
            "nac-predict",
        ],
    ),
    (
        "nac-pytorch",
        &[
            "nac-core",
            "nac-engine",
            "nac-data",
            "nac-dist",
            "nac-libtorch",
            "nac-modules",
            "nac-predict",
            "nac-train",
        ],
    ),
    (
        "nac-cli",
        &[
            "nac-core",
            "nac-engine",
            "nac-data",
            "nac-dist",
            "nac-libtorch",
            "nac-modules",
            "nac-predict",
            "nac-train",
            "nac-pytorch",
        ],
    ),
    ("xtask", &["nac-setup", "nac-data"]),
];
/// What is built where libtorch has never been seen.
pub(in crate::check) const WITHOUT_LIBTORCH: [&str; 6] = [
    "nac-core",
    "nac-engine",
    "nac-data",
    "nac-predict",
    "nac-setup",
    "xtask",
];
const LIBTORCH: [&str; 2] = ["tch", "torch-sys"];

/// The names of the packages that each package depends on; versions of one name are one package.
type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let ours: Vec<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut graph = Graph::new();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        let names = node
            .dependencies
            .iter()
            .map(|id| metadata[id].name.as_str());
        graph
            .entry(metadata[&node.id].name.as_str())
            .or_default()
            .extend(names);
    }
    findings(&ours, &graph)
}

fn findings(ours: &[&str], graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, allowed) in ALLOWED {
        for other in graph.get(name).into_iter().flatten() {
            if ours.contains(other) && *other != name && !allowed.contains(other) {
                let message = format!("must not depend on {other}");
                findings.push(Finding::new(name, 0, message));
            }
        }
    }
    for name in WITHOUT_LIBTORCH {
        let reached = reachable(name, graph);
        for bad in LIBTORCH.iter().filter(|bad| reached.contains(*bad)) {
            let message =
                format!("must build without libtorch, but {bad} is among its dependencies");
            findings.push(Finding::new(name, 0, message));
        }
    }
    findings
}

fn reachable<'a>(from: &'a str, graph: &Graph<'a>) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(graph.get(name).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(edges: &[(&'static str, &[&'static str])]) -> Vec<String> {
        let graph: Graph = edges
            .iter()
            .map(|(name, others)| (*name, others.iter().copied().collect()))
            .collect();
        let ours: Vec<&str> = graph
            .keys()
            .copied()
            .filter(|name| name.starts_with("nac-"))
            .collect();
        let findings = findings(&ours, &graph);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn the_allowed_direction_passes() {
        let edges: [(&str, &[&str]); 7] = [
            ("nac-core", &["serde"]),
            ("nac-data", &["nac-core", "serde"]),
            ("nac-modules", &["nac-core", "tch"]),
            ("nac-train", &["nac-core", "nac-modules", "nac-data", "tch"]),
            ("xtask", &["nac-data"]),
            ("serde", &[]),
            ("tch", &["serde"]),
        ];
        assert_eq!(found(&edges), [""; 0]);
    }

    #[test]
    fn the_other_direction_is_found() {
        assert_eq!(
            found(&[
                ("nac-modules", &["nac-data", "nac-benches"]),
                ("nac-data", &[]),
                ("nac-benches", &[])
            ]),
            [
                "nac-modules: must not depend on nac-benches",
                "nac-modules: must not depend on nac-data"
            ]
        );
    }

    #[test]
    fn libtorch_is_found_at_any_depth() {
        let edges: [(&str, &[&str]); 3] = [
            ("nac-core", &["helper"]),
            ("helper", &["torch-sys"]),
            ("torch-sys", &[]),
        ];
        assert_eq!(
            found(&edges),
            ["nac-core: must build without libtorch, but torch-sys is among its dependencies"]
        );
    }
}
