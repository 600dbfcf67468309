//! The training objective in a class name: `NeuralCompiler + WeightedSumLoss(CE 1.0, <Prior>Regularization mse 0.1)`.

use nac_core::PriorConfig;

use super::error::{CaseError, CaseResult};
use super::model::Prior;
use nac_train::loss::{PriorDistance, PriorLoss};

/// The reference's regularizers, and the priors they are.
const PRIORS: [(&str, &str); 6] = [
    ("BarabassiAlbertRegularization", "scale-free"),
    ("StochasticBlockModelRegularization", "planted-partition"),
    ("PlantedPartitionRegularization", "planted-partition"),
    ("ErdosRenyiRegularization", "erdos-renyi"),
    ("RingOfCliquesRegularization", "ring-of-cliques"),
    ("WattsStrogatzRegularization", "watts-strogatz"),
];

/// The class of the model, and the terms of its objective, if there is one.
pub(super) fn split(class: &str) -> (&str, Option<&str>) {
    let parts = class.split_once(" + WeightedSumLoss(");
    match parts.and_then(|(model, terms)| Some((model, terms.strip_suffix(')')?))) {
        Some((model, terms)) => (model.trim(), Some(terms)),
        None => (class, None),
    }
}

/// The graph prior among the terms; the other must be cross-entropy of weight 1.
pub(super) fn prior(terms: &str) -> CaseResult<Prior> {
    let mut found = None;
    for term in terms.split(',').map(str::trim) {
        let words: Vec<&str> = term.split_whitespace().collect();
        let number = |text: &str| text.parse::<f64>().ok();
        let known = match words[..] {
            ["CE", weight] => number(weight) == Some(1.0),
            [class, distance, weight] if found.is_none() => {
                found = one(class, distance, number(weight))?;
                found.is_some()
            }
            _ => false,
        };
        if !known {
            return Err(CaseError::unsupported("WeightedSumLoss", term));
        }
    }
    found.ok_or_else(|| CaseError::unsupported("WeightedSumLoss", terms))
}

fn one(class: &str, distance: &str, weight: Option<f64>) -> CaseResult<Option<Prior>> {
    let name = PRIORS
        .iter()
        .find(|(theirs, _)| *theirs == class)
        .map(|(_, ours)| ours);
    let loss_type = match distance {
        "mse" => Some(PriorLoss::Mse),
        "kl" => Some(PriorLoss::Kl),
        _ => None,
    };
    let (Some(name), Some(loss_type), Some(weight)) = (name, loss_type, weight) else {
        return Ok(None);
    };
    Ok(Some(Prior {
        config: PriorConfig::from_name(name)?,
        distance: PriorDistance {
            loss_type,
            ..Default::default()
        },
        weight,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_of_an_objective() {
        let class =
            "NeuralCompiler + WeightedSumLoss(CE 1.0, BarabassiAlbertRegularization mse 0.1)";
        let (model, terms) = split(class);
        assert_eq!(model, "NeuralCompiler");
        let prior_found = prior(terms.unwrap()).unwrap();
        assert_eq!(
            (prior_found.config.build().name(), prior_found.weight),
            ("scale-free", 0.1)
        );
        assert_eq!(split("ModFC"), ("ModFC", None));
        for wrong in [
            "CE 1.0",
            "CE 2.0, BarabassiAlbertRegularization mse 0.1",
            "CE 1.0, X mse 1",
            "",
        ] {
            assert!(
                matches!(prior(wrong), Err(CaseError::Unsupported(_))),
                "{wrong}"
            );
        }
    }
}
