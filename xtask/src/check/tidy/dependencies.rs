//! Rule: core ← modules ← train → data. The core and the data never see libtorch, not even in tests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;

/// For each package, the packages of this workspace that it may depend on.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("nac-core", &[]),
    ("nac-data", &[]),
    ("nac-modules", &["nac-core"]),
    ("nac-train", &["nac-core", "nac-data", "nac-modules"]),
    ("xtask", &["nac-data"]),
];
const WITHOUT_LIBTORCH: [&str; 3] = ["nac-core", "nac-data", "xtask"];
const LIBTORCH: [&str; 2] = ["tch", "torch-sys"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// Checks the answer of `cargo metadata`.
pub(super) fn check(metadata: &str) -> Result<Vec<Finding>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("the answer of cargo metadata")?;
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p.name.as_str()))
        .collect();
    let edges: BTreeMap<&str, &[String]> = metadata
        .resolve
        .nodes
        .iter()
        .map(|n| (n.id.as_str(), n.dependencies.as_slice()))
        .collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let mut add = |message: String| findings.push(Finding::new(name, 0, message));
        if let Some((_, allowed)) = ALLOWED.iter().find(|(of, _)| *of == name) {
            for id in edges.get(package.id.as_str()).copied().unwrap_or_default() {
                let other = names.get(id.as_str()).copied().unwrap_or_default();
                let ours = ALLOWED.iter().any(|(of, _)| *of == other);
                if ours && other != name && !allowed.contains(&other) {
                    add(format!("must not depend on {other}"));
                }
            }
        }
        if WITHOUT_LIBTORCH.contains(&name) {
            let reached = reachable(&package.id, &edges);
            for id in reached {
                if let Some(bad) = names.get(id).filter(|n| LIBTORCH.contains(n)) {
                    add(format!(
                        "must build without libtorch, but {bad} is among its dependencies"
                    ));
                }
            }
        }
    }
    Ok(findings)
}

fn reachable<'a>(from: &'a str, edges: &BTreeMap<&'a str, &'a [String]>) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(
                edges
                    .get(id)
                    .copied()
                    .unwrap_or_default()
                    .iter()
                    .map(String::as_str),
            );
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(edges: &[(&str, &[&str])]) -> Vec<String> {
        let packages: Vec<_> = edges
            .iter()
            .map(|(n, _)| serde_json::json!({"id": n, "name": n}))
            .collect();
        let nodes: Vec<_> = edges
            .iter()
            .map(|(n, d)| serde_json::json!({"id": n, "dependencies": d}))
            .collect();
        let metadata = serde_json::json!({"packages": packages, "resolve": {"nodes": nodes}});
        check(&metadata.to_string())
            .unwrap()
            .into_iter()
            .map(|f| f.to_string())
            .collect()
    }

    #[test]
    fn the_allowed_direction_passes() {
        let edges: [(&str, &[&str]); 7] = [
            ("nac-core", &["serde"]),
            ("nac-data", &["serde"]),
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
            found(&[("nac-modules", &["nac-data"]), ("nac-data", &[])]),
            ["nac-modules: must not depend on nac-data"]
        );
    }

    #[test]
    fn libtorch_is_found_at_any_depth() {
        let edges: [(&str, &[&str]); 3] = [
            ("nac-core", &["helper"]),
            ("helper", &["torch-sys"]),
            ("torch-sys", &[]),
        ];
        let all = found(&edges);
        assert!(
            all.len() == 1 && all[0].contains("torch-sys is among its dependencies"),
            "{all:?}"
        );
    }
}
