//! Graph generators: `graph_type` with its arguments, and the adjacency that networkx drew.
//!
//! The ring of cliques and the complete graph must be equal. Of a random graph the recorded draw pins the
//! distribution only: each of its statistics must lie within those of our own draws. A statistic of the same
//! distribution lies outside of `n` draws with probability `2/(n + 1)` at most.

use nac_core::Csr;
use nac_core::graph::{GraphGenerator, clustering_coefficient, is_connected};
use ndarray::Array2;
use tch::{Kind, Tensor};

use super::super::compare::{Comparison, Direction};
use super::context::{Case, streams};
use super::error::{CaseError, CaseResult};
use super::settings::Settings;

const OUTPUT: &str = "out.adjacency";
/// Module pairs to draw in all, so that large graphs take no longer than small ones.
const PAIRS: usize = 2_000_000;
const NAMES: [&str; 6] = [
    "edges",
    "least degree",
    "greatest degree",
    "mean degree",
    "clustering",
    "connected",
];

/// Metadata about the recorded graph, and what only networkx needs.
const WITHOUT_EFFECT: [&str; 8] = [
    "num_edges",
    "degree_max",
    "degree_min",
    "degree_mean",
    "connected",
    "self_loops",
    "seed",
    "n",
];

pub(super) fn run(case: &mut Case<'_>) -> CaseResult<()> {
    let settings = Settings::new(case.golden().config());
    settings.ignore(&WITHOUT_EFFECT);
    let modules = settings.required_count("num_latents")?;
    case.expect_square(OUTPUT, modules)?;
    let generator = generator(&settings, modules)?;
    settings.finish()?;
    let recorded = adjacency(&case.tensor(OUTPUT)?)?;
    if !matches!(
        generator,
        GraphGenerator::Complete {}
            | GraphGenerator::RingOfCliques { .. }
            | GraphGenerator::GridGraph { .. }
            | GraphGenerator::Barbell {}
            | GraphGenerator::Hypercube {}
    ) {
        let problem = other_statistics(&generator, &recorded, modules)?;
        case.add(Comparison {
            tensor: OUTPUT.to_owned(),
            direction: Direction::Forward,
            error: 0.0,
            allowed: 0.0,
            largest: 1.0,
            problem,
        });
        return Ok(());
    }
    let ours: Array2<f64> = generator
        .generate(modules, &mut streams().stream("graph"))?
        .to_dense();
    let values: Vec<f64> = ours.iter().copied().collect();
    let size = i64::try_from(modules).unwrap_or(0);
    case.check(
        OUTPUT,
        &Tensor::f_from_slice(&values)?.f_view([size, size])?,
    )
}

/// The generator that a configuration of the reference asks for.
pub(super) fn generator(settings: &Settings<'_>, modules: usize) -> CaseResult<GraphGenerator> {
    let kind = settings
        .word("graph_type")?
        .ok_or_else(|| settings.missing("graph_type"))?;
    let of = |key| settings.number(key);
    let mut generator = match GraphGenerator::from_name(kind) {
        Ok(generator) => generator,
        Err(_) => return Err(CaseError::unsupported("graph_type", format!("{kind:?}"))),
    };
    match &mut generator {
        GraphGenerator::ErdosRenyi { p } => *p = of("p")?.unwrap_or(*p),
        GraphGenerator::WattsStrogatz { k, p } => {
            (*k, *p) = (settings.count("k")?.or(*k), of("p")?.unwrap_or(*p));
        }
        GraphGenerator::PlantedPartition {
            clusters,
            p_in,
            p_out,
        } => {
            *clusters = settings.count("l")?.unwrap_or(*clusters);
            same_size(settings, "k", *clusters, modules)?;
            (*p_in, *p_out) = (of("p_in")?.unwrap_or(*p_in), of("p_out")?.unwrap_or(*p_out));
        }
        GraphGenerator::BarabasiAlbert { m } => *m = settings.count("m")?.unwrap_or(*m),
        GraphGenerator::RingOfCliques { cliques } => {
            *cliques = settings.count("num_cliques")?.unwrap_or(*cliques);
            same_size(settings, "clique_size", *cliques, modules)?;
        }
        GraphGenerator::GridGraph { width, periodic } => {
            *periodic = settings.flag("periodic")?.unwrap_or(false);
            *width = sides(settings, modules)?;
        }
        GraphGenerator::Barbell {} => {
            same_size(settings, "m1", 2, modules)?;
            // The path between the bells is always left out.
            settings.ignore(&["m2"]);
        }
        _ => {}
    }
    Ok(generator)
}

/// The first of a grid's two sides, along which the index grows by one.
fn sides(settings: &Settings<'_>, modules: usize) -> CaseResult<Option<usize>> {
    let Some(value) = settings.get("dim") else {
        return Ok(None);
    };
    let sides: Option<Vec<u64>> = value
        .as_array()
        .and_then(|sides| sides.iter().map(serde_json::Value::as_u64).collect());
    match sides.as_deref() {
        Some(&[width, height]) if width.checked_mul(height) == u64::try_from(modules).ok() => {
            Ok(usize::try_from(width).ok())
        }
        _ => Err(settings.refuse("dim", value)),
    }
}

/// Groups must fill the modules: we set their number only.
fn same_size(settings: &Settings<'_>, key: &str, groups: usize, modules: usize) -> CaseResult<()> {
    match settings.count(key)? {
        Some(size) if size.checked_mul(groups) != Some(modules) => Err(CaseError::unsupported(
            key,
            format!("{size} ({groups} groups of {modules} modules)"),
        )),
        _ => Ok(()),
    }
}

/// A recorded adjacency as a graph without values.
pub(super) fn adjacency(recorded: &Tensor) -> CaseResult<Csr> {
    Ok(Csr::from_dense(matrix(recorded)?.view())?.without_values())
}

/// A tensor `[rows, columns]` as an array.
pub(super) fn matrix(tensor: &Tensor) -> CaseResult<Array2<f64>> {
    let [rows, columns] = tensor.size()[..] else {
        return Err(CaseError::Broken(format!(
            "a matrix has shape {:?}",
            tensor.size()
        )));
    };
    let values = tensor
        .f_detach()?
        .f_to_kind(Kind::Double)?
        .f_to_device(tch::Device::Cpu)?;
    let values = Vec::<f64>::try_from(values.f_contiguous()?.f_view([-1_i64])?)?;
    let shape = (rows as usize, columns as usize);
    Array2::from_shape_vec(shape, values).map_err(|error| CaseError::Broken(error.to_string()))
}

fn statistics(graph: &Csr) -> CaseResult<[f64; 6]> {
    let degrees = graph.receiver_degrees();
    let of = |degree: Option<&usize>| degree.map_or(0.0, |&degree| degree as f64);
    let edges = graph.edges() as f64;
    Ok([
        edges / 2.0,
        of(degrees.iter().min()),
        of(degrees.iter().max()),
        edges / degrees.len() as f64,
        clustering_coefficient(graph)?,
        f64::from(is_connected(graph)?),
    ])
}

/// What of the recorded graph our draws do not show, in words.
fn other_statistics(
    generator: &GraphGenerator,
    recorded: &Csr,
    modules: usize,
) -> CaseResult<Option<String>> {
    let theirs = statistics(recorded)?;
    let (mut low, mut high) = ([f64::INFINITY; 6], [f64::NEG_INFINITY; 6]);
    let draws = (PAIRS / modules.max(1).pow(2)).clamp(50, 400);
    for draw in 0..draws {
        let mut stream = streams().stream(&format!("graph/{draw}"));
        let ours = statistics(&generator.generate(modules, &mut stream)?)?;
        for (i, value) in ours.into_iter().enumerate() {
            (low[i], high[i]) = (low[i].min(value), high[i].max(value));
        }
    }
    let outside = (0..NAMES.len()).find(|&i| theirs[i] < low[i] || theirs[i] > high[i]);
    Ok(outside.map(|i| {
        format!(
            "{} {} is not in {}..={} of {draws} draws",
            NAMES[i], theirs[i], low[i], high[i]
        )
    }))
}
