//! Terms on signatures alone: hinge repulsion and distribution of distances; and schedules of weights.

use serde_json::Value;
use tch::Tensor;

use super::context::Case;
use super::error::{CaseError, CaseResult};
use super::regularizer::signatures;
use super::settings::Settings;
use nac_train::loss::{Mixture, Reduction, mixture_nll, repulsion};
use nac_train::scheduled::{ScheduledValue, ValueSchedule};

/// The mixture is an outcome of a fit in `float64`, of which the golden holds `float32`: this share of the value is
/// open, four units in the last place.
const MIXTURE_ROUNDING: f64 = 2.4e-7;

const SETS: [&str; 3] = ["input", "mediator", "output"];

pub(super) fn hinge(case: &mut Case<'_>) -> CaseResult<()> {
    let settings = Settings::new(case.golden().config());
    let hinge = settings
        .number("hinge")?
        .ok_or_else(|| settings.missing("hinge"))?;
    let reduction = reduction(&settings)?;
    let mut truncation = None;
    if let Some(kernel) = settings.object("kernel")? {
        truncation = kernel.number("truncation")?;
        kernel.finish()?;
    }
    settings.finish()?;
    let inputs = case.inputs()?;
    let value = repulsion(&signatures(&inputs, &SETS)?, hinge, truncation, reduction)?;
    case.check("out.loss_value", &value)?;
    case.check_if_recorded("out.loss", &value)?;
    case.check_gradients("grad.", &value, &inputs, None)
}

pub(super) fn distribution(case: &mut Case<'_>) -> CaseResult<()> {
    let settings = Settings::new(case.golden().config());
    settings.ignore(&["num_components"]);
    let reduction = reduction(&settings)?;
    settings.finish()?;
    let part = |name: &str| -> CaseResult<Vec<f64>> {
        let tensor = case
            .golden()
            .tensors
            .get(&format!("param.component_{name}"));
        let tensor =
            tensor.ok_or_else(|| CaseError::Broken(format!("no `param.component_{name}`")))?;
        let flat = tensor.f_to_kind(tch::Kind::Double)?.f_reshape([-1_i64])?;
        Ok(Vec::try_from(flat)?)
    };
    let mixture = Mixture::new(part("weights")?, part("means")?, part("sigmas")?)
        .map_err(|error| CaseError::Broken(error.to_string()))?;
    let inputs = case.inputs()?;
    let value = mixture_nll(&signatures(&inputs, &SETS)?, &mixture, reduction)?;
    let room = MIXTURE_ROUNDING * value.f_double_value(&[])?.abs();
    for name in ["out.loss_value", "out.loss"] {
        if case.has(name) {
            case.check_with_room(name, &value, room)?;
        }
    }
    case.check_gradients("grad.", &value, &inputs, None)
}

fn reduction(settings: &Settings<'_>) -> CaseResult<Reduction> {
    Ok(match settings.word("reduction")? {
        None | Some("mean") => Reduction::Mean,
        Some("sum") => Reduction::Sum,
        Some("max") => Reduction::Max,
        Some(other) => return Err(CaseError::unsupported("reduction", format!("{other:?}"))),
    })
}

/// Schedules by name, written as `start=1,stop=0.1`, at the progress written as `0,0.1,...,1.0`.
pub(super) fn schedules(case: &mut Case<'_>) -> CaseResult<()> {
    let config = case.golden().config();
    let text = config.get("progress").and_then(Value::as_str);
    let progress = text
        .and_then(range)
        .ok_or_else(|| CaseError::Broken("`progress` is not like 0,0.1,...,1.0".into()))?;
    for (name, value) in config.iter().filter(|(name, _)| *name != "progress") {
        let number = |key: &str| -> CaseResult<Option<f64>> {
            let pairs = value.as_str().unwrap_or_default().split(',');
            let found = pairs
                .filter_map(|pair| pair.split_once('='))
                .find(|(k, _)| k.trim() == key);
            found
                .map(|(_, number)| number.trim().parse())
                .transpose()
                .map_err(|_| CaseError::unsupported(name, value))
        };
        let needed = |key: &str| number(key)?.ok_or_else(|| CaseError::unsupported(name, value));
        let (start, stop) = (needed("start")?, needed("stop")?);
        let schedule = match name.as_str() {
            "linear" => ValueSchedule::Linear { start, stop },
            "exponential" => ValueSchedule::Exponential {
                start,
                stop,
                beta: number("beta")?.unwrap_or(5.0),
            },
            other => return Err(CaseError::unsupported("schedule", other)),
        };
        let schedule = ScheduledValue::Changing(schedule);
        let values: Vec<f64> = progress.iter().map(|&at| schedule.at(at)).collect();
        case.check(&format!("out.{name}"), &Tensor::f_from_slice(&values)?)?;
    }
    Ok(())
}

/// `0,0.1,...,1.0`: first, second, dots, last.
fn range(text: &str) -> Option<Vec<f64>> {
    let mut parts = text.split(',').map(str::trim);
    let (first, second, dots, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [first, second, last] = [
        first.parse().ok()?,
        second.parse().ok()?,
        last.parse::<f64>().ok()?,
    ];
    let (step, end): (f64, Option<&str>) = (second - first, parts.next());
    let count = ((last - first) / step).round();
    if dots != "..." || end.is_some() || !(1.0..=1e6).contains(&count) {
        return None;
    }
    Some(
        (0..=count as usize)
            .map(|i| first + (last - first) * i as f64 / count)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        assert_eq!(range("0,0.5,...,2"), Some(vec![0.0, 0.5, 1.0, 1.5, 2.0]));
        for wrong in [
            "",
            "0,1",
            "0,0,...,1",
            "0,1,2,3",
            "0,1,...,2,3",
            "a,b,...,c",
        ] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
