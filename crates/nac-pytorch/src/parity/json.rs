//! The results as JSON, for programs.
//!
//! `{"engine", "device", "kind", "seconds", "totals": {"pass", "fail", "unsupported", "error"}, "cases": [{"case", "status",
//! "reason"?, "seconds", "gradients_left_out"?, "forward"?, "gradients"?, "allowed"?, "tensors": [...]}]}`. `forward` and `gradients` are
//! the worst relative errors, `allowed` the relative error allowed where the case comes nearest to its limit. An
//! infinite error (another shape) is `null`.

use serde_json::{Value, json};

use super::compare::Direction;
use super::error::Result;
use super::report::{CaseReport, Report, Status};

/// The report as pretty-printed JSON, with a line feed at the end.
///
/// # Errors
/// Serialization fails.
pub fn to_json(report: &Report) -> Result<String> {
    let totals = json!({
        "pass": report.count(Status::Pass),
        "fail": report.count(Status::Fail),
        "unsupported": report.count(Status::Unsupported),
        "error": report.count(Status::Error),
    });
    let cases = report.cases.iter().map(case).collect::<Result<Vec<_>>>()?;
    let all = json!({
        "engine": report.engine,
        "device": report.device.to_lowercase(),
        "kind": report.kind.to_lowercase(),
        "seconds": report.seconds,
        "totals": totals,
        "cases": cases,
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

fn case(case: &CaseReport) -> Result<Value> {
    let mut value = serde_json::to_value(case)?;
    if let Value::Object(fields) = &mut value {
        let worst = |direction| case.worst(direction).map(|worst| worst.relative_error());
        let allowed = case.worst_of_all().map(|worst| worst.relative_allowed());
        for (name, number) in [
            ("forward", worst(Direction::Forward)),
            ("gradients", worst(Direction::Gradient)),
            ("allowed", allowed),
        ] {
            if let Some(number) = number {
                fields.insert(name.to_owned(), json!(number));
            }
        }
    }
    Ok(value)
}
