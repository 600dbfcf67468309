//! Running one golden: the family decides the runner, the configuration decides the rest.

mod circuit;
mod context;
mod core;
mod ends;
mod error;
mod graph;
mod graphon;
mod kernel;
mod latents;
mod layer;
mod matching;
mod model;
mod modules;
mod objective;
mod optimizer;
mod perceiver;
mod preset;
mod regularizer;
mod settings;
mod signatures;
mod tape_gradients;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::settings::{Imported, import};
use serde_json::Value;

use super::compare::Comparison;
use super::golden::Golden;
use super::options::{Engine, Options};
use super::report::{CaseReport, Status};
use context::Case;
use error::{CaseError, CaseResult};

/// Runs one golden. Nothing that is wrong with it gets out of its report.
pub(super) fn run(golden: &Golden, options: &Options) -> CaseReport {
    let start = Instant::now();
    // Operators of libtorch that we do not call through their fallible form panic; for a comparison of goldens
    // that nobody has seen this must be the end of one case only.
    let result = catch_unwind(AssertUnwindSafe(|| compared(golden, options)));
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(CaseError::Broken(format!(
            "panicked: {}",
            text.unwrap_or("without a message")
        )))
    });
    let nothing = Compared::default();
    let (status, reason, found) = match result {
        Ok(found) => match first_failure(&found.tensors) {
            None => (Status::Pass, None, found),
            Some(text) => (Status::Fail, Some(text), found),
        },
        Err(CaseError::Unsupported(what)) => (Status::Unsupported, Some(what), nothing),
        Err(CaseError::Different(what)) => (Status::Fail, Some(what), nothing),
        Err(CaseError::Broken(what)) => (Status::Error, Some(what), nothing),
    };
    CaseReport {
        case: golden.name.clone(),
        status,
        reason,
        seconds: start.elapsed().as_secs_f64(),
        gradients_left_out: found.gradients_left_out,
        fused_blocks: found.fused_blocks,
        tensors: found.tensors,
    }
}

/// What a case gave.
#[derive(Default)]
struct Compared {
    tensors: Vec<Comparison>,
    /// Recorded gradients that were left out.
    gradients_left_out: usize,
    fused_blocks: usize,
}

fn compared(golden: &Golden, options: &Options) -> CaseResult<Compared> {
    let mut case = Case::new(golden, options)?;
    dispatch(&mut case)?;
    let fused_blocks = case.fused_blocks();
    let (tensors, gradients_left_out) = case.finish();
    if tensors.is_empty() {
        return Err(CaseError::Broken(
            "the golden holds nothing to compare".into(),
        ));
    }
    Ok(Compared {
        tensors,
        gradients_left_out,
        fused_blocks,
    })
}

/// What differs most, and how many tensors do.
fn first_failure(tensors: &[Comparison]) -> Option<String> {
    let failed = || tensors.iter().filter(|t| !t.passes());
    let worst = failed().max_by(|a, b| a.share().total_cmp(&b.share()))?;
    let text = match &worst.problem {
        Some(problem) => format!("{}: {problem}", worst.tensor),
        None => format!(
            "{} differs by {:.2e}, allowed {:.2e}",
            worst.tensor, worst.error, worst.allowed
        ),
    };
    let more = failed().count() - 1;
    Some(if more == 0 {
        text
    } else {
        format!("{text}, and {more} more")
    })
}

/// Keys that belong to the golden, not to the class.
const OF_THE_GOLDEN: [&str; 2] = ["square", "optimizer"];

/// The largest integer that a golden's configuration may hold: a size beyond it is an accident, and would
/// exhaust the memory before anything could be compared.
const LARGEST_SIZE: u64 = 65_536;

/// An error if a number below `path` is beyond all sizes.
fn check_sizes(path: &str, value: &Value) -> CaseResult<()> {
    match value {
        Value::Object(table) => table
            .iter()
            .filter(|(key, _)| *key != "seed")
            .try_for_each(|(key, value)| check_sizes(&format!("{path}.{key}"), value)),
        Value::Array(all) => all.iter().try_for_each(|value| check_sizes(path, value)),
        Value::Number(number) if number.as_u64().is_some_and(|n| n > LARGEST_SIZE) => {
            let text = format!("{path} = {number} is more than {LARGEST_SIZE}");
            Err(CaseError::Broken(text))
        }
        _ => Ok(()),
    }
}

/// Whether what decodes is given, or some tokens are padding.
fn has_queries(case: &Case<'_>) -> bool {
    case.has("in.queries") || case.has("in.mask")
}

/// Chooses the runner by class, or by the keys of a configuration without one.
fn dispatch(case: &mut Case<'_>) -> CaseResult<()> {
    let config = case.golden().config();
    check_sizes("config", &Value::Object(config.clone()))?;
    let has = |key: &str| config.contains_key(key);
    let on_core = case.engine() == Engine::Core;
    let class = match config.get("cls") {
        Some(Value::String(class)) => class.as_str(),
        Some(other) => return Err(CaseError::Broken(format!("`cls` = {other} is not a class"))),
        None if has("graph_type") && case.has("in.initial_signatures") => return preset::run(case),
        None if has("graph_type") => return graph::run(case),
        None if on_core && has("kind") && has("loss_type") => {
            return core::only_in_training("graph prior as a loss");
        }
        None if on_core && has("hinge") => return core::only_in_training("hinge repulsion"),
        None if on_core && has("num_components") => {
            return core::only_in_training("distribution of distances as a loss");
        }
        None if on_core && has("progress") => {
            return core::only_in_training("schedule of a weight");
        }
        None if has("kind") && has("loss_type") => return regularizer::run(case),
        None if has("kind") => return graphon::run(case),
        None if has("hinge") => return signatures::hinge(case),
        None if has("num_components") => return signatures::distribution(case),
        None if has("progress") => return signatures::schedules(case),
        None => return Err(CaseError::Broken("the configuration has no `cls`".into())),
    };
    let (class, terms) = objective::split(class);
    let mut table = config.clone();
    table.retain(|key, _| !OF_THE_GOLDEN.contains(&key.as_str()));
    table.insert("cls".to_owned(), Value::from(class));
    let imported = import(&Value::Object(table))?;
    if on_core {
        return match (&terms, has("optimizer")) {
            (Some(_), _) => core::only_in_training("training objective"),
            (None, true) => core::only_in_training("steps of an optimizer"),
            (None, false) => core::run(case, &imported),
        };
    }
    if let Some(terms) = terms {
        let prior = objective::prior(terms)?;
        return match imported {
            Imported::Model(imported) => model::objective(case, &imported, &prior),
            _ => Err(CaseError::unsupported(
                "cls",
                format!("{class} with an objective"),
            )),
        };
    }
    match imported {
        Imported::Projection(imported) => layer::projection(case, &imported),
        Imported::Ffn(imported) => layer::ffn(case, &imported),
        Imported::Kernel(config) => kernel::run(case, &config),
        Imported::Attention(imported) => modules::attention(case, &imported),
        Imported::ReadInAttention(imported) => modules::read_in_attention(case, &imported),
        Imported::ReadIn(imported) => modules::read_in(case, &imported),
        Imported::Propagator(imported) => modules::propagator(case, &imported),
        Imported::ReadOut(imported) => modules::read_out(case, &imported),
        Imported::Latents(imported) => latents::latents(case, &imported),
        Imported::SeededLatents(imported) => latents::seeded(case, &imported),
        Imported::Tokenizer(imported) => ends::tokenizer(case, &imported),
        Imported::Grid(imported) => ends::grid(case, &imported),
        Imported::Head(imported) => ends::head(case, &imported),
        Imported::Circuit(imported) => circuit::run(case, &imported),
        Imported::PerceiverIo(imported) => perceiver::run(case, &imported),
        Imported::Model(imported) if has_queries(case) => match imported.perceiver_io() {
            Some(imported) => perceiver::run(case, &imported),
            None => Err(CaseError::Broken("queries or a mask for a circuit".into())),
        },
        Imported::Model(imported) if has("optimizer") => optimizer::run(case, &imported),
        Imported::Model(imported) => model::classifier(case, &imported),
    }
}
