//! Matchings of modules with a graphon's places.
//!
//! Block and ring graphons have several optimal matchings and the scale-free one near-ties, so what must agree is the
//! optimal cost: the recorded matching, judged by our costs, must cost as much as ours. Values and gradients are then
//! those of the recorded matching.

use nac_core::PriorConfig;
use tch::{Kind, Tensor};

use super::super::compare::{Comparison, Direction};
use super::context::Case;
use super::error::{CaseError, CaseResult};
use super::graphon::graphon;
use nac_train::loss::match_modules;

/// Two sums of costs may differ by this share: costs of a `float32` run are rounded in the seventh digit …
const COST: f64 = 1e-6;
/// … and those of a `bfloat16` run in the third.
const COST_BFLOAT16: f64 = 1e-2;

/// Compares the recorded matching, costs and graphon of the kernel `suffix` with ours; gives the recorded matching.
pub(super) fn check_assignment(
    case: &mut Case<'_>,
    suffix: &str,
    prior: &PriorConfig,
    links: &Tensor,
    noise: Option<&Tensor>,
) -> CaseResult<Tensor> {
    let modules = links
        .size()
        .first()
        .and_then(|&n| usize::try_from(n).ok())
        .unwrap_or(0);
    let graphon = graphon(prior, modules)?;
    let found = match_modules(&graphon, links, noise)?;
    case.check_if_recorded(&format!("out.cost_matrix{suffix}"), &found.costs)?;
    case.check_if_recorded(
        &format!("out.assignment_cost{suffix}"),
        &Tensor::from(found.cost),
    )?;
    let name = format!("out.assignment_input_idx{suffix}");
    let recorded = case
        .tensor(&name)?
        .f_to_kind(Kind::Int64)?
        .f_to_device(tch::Device::Cpu)?;
    let mut seen = Vec::<i64>::try_from(&recorded)?;
    seen.sort_unstable();
    if seen.len() != modules || seen.iter().enumerate().any(|(i, &v)| v != i as i64) {
        return Err(CaseError::Broken(format!(
            "`{name}` is not a permutation of {modules} modules"
        )));
    }
    let taken = found.costs.f_gather(1, &recorded.f_unsqueeze(1)?, false)?;
    let cost = taken.f_sum(Kind::Double)?.f_double_value(&[])?;
    let share = if case.kind() == Kind::BFloat16 {
        COST_BFLOAT16
    } else {
        COST
    };
    case.add(Comparison {
        tensor: name,
        direction: Direction::Forward,
        error: (cost - found.cost).abs(),
        allowed: share * found.cost.abs() + f64::EPSILON,
        largest: found.cost.abs(),
        problem: None,
    });
    Ok(recorded)
}
