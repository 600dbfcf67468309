//! Sets of modules and their initial states.

use crate::settings::{ImportedLatents, ImportedSeededLatents};
use nac_core::model::SeederConfig;
use nac_engine::single::SingleLayer;
use ndarray::{Array2, Array3, Axis};
use tch::Tensor;

use super::super::context::Case;
use super::super::error::{CaseError, CaseResult};
use super::arrays::{check_all, tensor, weights};

pub(super) fn latents(case: &mut Case<'_>, imported: &ImportedLatents) -> CaseResult<()> {
    // Without learned states, codes are the states.
    let code_dim = imported.spec.code_dim;
    let seeder = SeederConfig::default().resolve("seeder", code_dim, code_dim)?;
    let weights = weights(case)?;
    let set = SingleLayer::new(&weights).modules(&imported.spec, &seeder)?;
    let codes = match imported.spec.code_layers {
        None => tensor(first(&set.codes)?)?,
        Some(_) => {
            let layers: Vec<_> = set.codes.iter().map(|codes| codes.view()).collect();
            let codes = ndarray::stack(Axis(0), &layers);
            tensor(&codes.map_err(|error| CaseError::Broken(error.to_string()))?)?
        }
    };
    let recorded = case.golden().tensors.get("out.states");
    let batch = recorded.and_then(|t| usize::try_from(*t.size().first()?).ok());
    let states = batched(first(&set.states)?, batch.unwrap_or(1))?;
    let outputs = [
        ("signatures", tensor(&set.signatures)?),
        ("codes", codes),
        ("states", states),
    ];
    let recorded = outputs
        .iter()
        .filter(|(name, _)| case.has(&format!("out.{name}")));
    let outputs: Vec<(&str, &Tensor)> = recorded.map(|(name, t)| (*name, t)).collect();
    check_all(case, &outputs)
}

pub(super) fn seeded(case: &mut Case<'_>, imported: &ImportedSeededLatents) -> CaseResult<()> {
    let weights = weights(case)?;
    let set = SingleLayer::new(&weights).modules(&imported.latents, &imported.seeder)?;
    let mut outputs = vec![("states", batched(first(&set.states)?, imported.batch_size)?)];
    if case.has("out.states_last")
        && let Some(last) = set.states.last()
    {
        outputs.push(("states_last", batched(last, imported.batch_size)?));
    }
    let outputs: Vec<(&str, &Tensor)> = outputs.iter().map(|(name, t)| (*name, t)).collect();
    check_all(case, &outputs)
}

fn first(all: &[Array2<f32>]) -> CaseResult<&Array2<f32>> {
    all.first()
        .ok_or_else(|| CaseError::Broken("a set without codes".into()))
}

/// The same for every example.
fn batched(states: &Array2<f32>, batch: usize) -> CaseResult<Tensor> {
    let (modules, dim) = states.dim();
    tensor(&Array3::from_shape_fn(
        (batch, modules, dim),
        |(_, i, j)| states[[i, j]],
    ))
}
