//! A circuit without tokenizer and head.

use std::collections::BTreeMap;

use nac_core::model::spec::CircuitSpec;
use nac_modules::Tokens;
use nac_modules::circuit::CircuitExecutor;
use nac_modules::generator::{CircuitGenerator, FreeGenerator};
use tch::Tensor;

use super::context::{Case, model_inputs};
use super::error::{CaseError, CaseResult};

/// The reference's name of each state, and ours.
pub(super) const STATES: [(&str, &str); 4] = [
    ("tokenized_inputs", "tokens"),
    ("input_states", "read_in.states"),
    ("mediator_states", "processor.states"),
    ("output_states", "read_out.states"),
];

pub(super) fn run(case: &mut Case<'_>, spec: &CircuitSpec) -> CaseResult<()> {
    let mut store = case.store();
    let generator = FreeGenerator::new(&mut store.root(), &spec.generator)?;
    let executor = CircuitExecutor::new(&mut store.root(), spec)?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let tokens = Tokens::new(case.of(&inputs, "inputs")?.shallow_clone())?;
    let mut ctx = case.pass().with_intermediates();
    let circuit = generator.generate(&model_inputs(&inputs), &mut ctx)?;
    let _ = executor.forward(&tokens, &circuit, &mut ctx)?;
    let found = ctx.take_intermediates();
    case.noise_is_used()?;
    let outputs = recorded_states(case, &found)?;
    case.check_squares(&outputs, &inputs, Some(&store))?;
    case.expect_fused(spec)
}

/// Of the states found, those that the golden holds, under its names.
pub(super) fn recorded_states<'f>(
    case: &Case<'_>,
    found: &'f BTreeMap<String, Tensor>,
) -> CaseResult<Vec<(&'static str, &'f Tensor)>> {
    let recorded = STATES
        .iter()
        .filter(|(theirs, _)| case.has(&format!("out.{theirs}")));
    recorded
        .map(|&(theirs, ours)| match found.get(ours) {
            Some(tensor) => Ok((theirs, tensor)),
            None => Err(CaseError::Different(format!("`{ours}` was not recorded"))),
        })
        .collect()
}
