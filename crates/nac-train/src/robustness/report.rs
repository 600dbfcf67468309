//! [`RobustnessReport`]: accuracy under every condition, means and differences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use crate::adapt::{ModelId, SourceModel};
use crate::statistics::Spread;

/// One model under one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionResult {
    /// Name of the model.
    pub model: String,
    /// What the images are like.
    pub condition: Condition,
    /// Accuracy.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Number of images.
    pub examples: usize,
}

/// A model over all conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobustnessSummary {
    /// Name of the model.
    pub model: String,
    /// Accuracy on the test part as it is.
    pub clean: f64,
    /// Accuracy under corruption: the mean over kinds and severities.
    pub corrupted: f64,
    /// `clean − corrupted`.
    pub drop: f64,
    /// The drop as a share of clean: `(clean − corrupted) / clean`; 0 where clean is 0.
    pub relative_drop: f64,
    /// Mean accuracy over the severities of each kind.
    pub by_kind: BTreeMap<String, f64>,
    /// Mean accuracy over the kinds of each severity.
    pub by_severity: BTreeMap<u8, f64>,
    /// Accuracy on renditions, where there are any.
    pub renditions: Option<f64>,
}

/// The first model against another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobustnessDifference {
    /// Name of the first model.
    pub first: String,
    /// Name of the other one.
    pub second: String,
    /// Accuracy of the first less that of the second, on the test part as it is.
    pub clean: f64,
    /// The same over the kinds and severities of corruption, each pair on the same images.
    pub corrupted: Spread,
    /// Drop of the first less that of the second: below zero, the first loses less.
    pub drop: f64,
    /// The same on renditions, where there are any.
    pub renditions: Option<f64>,
}

/// Results of models on the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobustnessReport {
    /// Name of the data set.
    pub dataset: String,
    /// Test images used.
    pub examples: usize,
    /// The models, in the order given.
    pub models: Vec<ModelId>,
    /// Over the conditions.
    pub summaries: Vec<RobustnessSummary>,
    /// The first model against each other.
    pub differences: Vec<RobustnessDifference>,
    /// Every model under every condition.
    pub conditions: Vec<ConditionResult>,
}

impl RobustnessReport {
    pub(super) fn new(
        dataset: String,
        examples: usize,
        models: &[SourceModel],
        conditions: Vec<ConditionResult>,
    ) -> Self {
        let models: Vec<ModelId> = models.iter().map(|model| model.id.clone()).collect();
        let names = || models.iter().map(|model| model.name.as_str());
        let summaries: Vec<_> = names().map(|name| summarize(name, &conditions)).collect();
        let differences = match summaries.split_first() {
            Some((first, others)) => {
                let others = others.iter();
                others
                    .map(|other| difference(first, other, &conditions))
                    .collect()
            }
            None => Vec::new(),
        };
        Self {
            dataset,
            examples,
            models,
            summaries,
            differences,
            conditions,
        }
    }

    /// Rows of `conditions.csv`, the header first.
    pub(super) fn condition_rows(&self) -> Vec<Vec<String>> {
        let header = [
            "model",
            "condition",
            "kind",
            "severity",
            "examples",
            "accuracy",
            "loss",
        ];
        let row = |found: &ConditionResult| {
            let (kind, severity) = match &found.condition {
                Condition::Corrupted { kind, severity } => {
                    (kind.name().to_owned(), severity.to_string())
                }
                _ => Default::default(),
            };
            vec![
                found.model.clone(),
                found.condition.key(),
                kind,
                severity,
                found.examples.to_string(),
                found.accuracy.to_string(),
                found.loss.to_string(),
            ]
        };
        let rows = self.conditions.iter().map(row);
        std::iter::once(header.map(String::from).to_vec())
            .chain(rows)
            .collect()
    }

    /// Rows of `summary.csv`, the header first.
    pub(super) fn summary_rows(&self) -> Vec<Vec<String>> {
        let kinds: Vec<&String> = self
            .summaries
            .first()
            .map_or_else(Vec::new, |s| s.by_kind.keys().collect());
        let mut header = [
            "model",
            "clean",
            "corrupted",
            "drop",
            "relative_drop",
            "renditions",
        ]
        .map(String::from)
        .to_vec();
        header.extend(kinds.iter().map(ToString::to_string));
        let row = |found: &RobustnessSummary| {
            let mut row = vec![found.model.clone()];
            let values = [
                found.clean,
                found.corrupted,
                found.drop,
                found.relative_drop,
            ];
            row.extend(values.map(|value| value.to_string()));
            row.push(
                found
                    .renditions
                    .map_or_else(String::new, |value| value.to_string()),
            );
            row.extend(found.by_kind.values().map(ToString::to_string));
            row
        };
        let rows = self.summaries.iter().map(row);
        std::iter::once(header).chain(rows).collect()
    }
}

fn of<'a>(model: &'a str, all: &'a [ConditionResult]) -> impl Iterator<Item = &'a ConditionResult> {
    all.iter().filter(move |found| found.model == model)
}

fn accuracy_of(
    model: &str,
    all: &[ConditionResult],
    is: impl Fn(&Condition) -> bool,
) -> Option<f64> {
    of(model, all)
        .find(|found| is(&found.condition))
        .map(|found| found.accuracy)
}

fn summarize(model: &str, all: &[ConditionResult]) -> RobustnessSummary {
    let (mut kinds, mut severities) = (
        BTreeMap::<_, Vec<f64>>::new(),
        BTreeMap::<_, Vec<f64>>::new(),
    );
    let mut corrupted = Vec::new();
    for found in of(model, all) {
        if let Condition::Corrupted { kind, severity } = &found.condition {
            kinds
                .entry(kind.name().to_owned())
                .or_default()
                .push(found.accuracy);
            severities
                .entry(*severity)
                .or_default()
                .push(found.accuracy);
            corrupted.push(found.accuracy);
        }
    }
    let mean = |values: &[f64]| Spread::of(values).mean;
    let clean = accuracy_of(model, all, |condition| *condition == Condition::Clean).unwrap_or(0.0);
    let corrupted = mean(&corrupted);
    let drop = clean - corrupted;
    RobustnessSummary {
        model: model.to_owned(),
        clean,
        corrupted,
        drop,
        relative_drop: if clean > 0.0 { drop / clean } else { 0.0 },
        by_kind: kinds
            .into_iter()
            .map(|(kind, values)| (kind, mean(&values)))
            .collect(),
        by_severity: severities
            .into_iter()
            .map(|(at, values)| (at, mean(&values)))
            .collect(),
        renditions: accuracy_of(model, all, |c| matches!(c, Condition::Renditions { .. })),
    }
}

fn difference(
    first: &RobustnessSummary,
    second: &RobustnessSummary,
    all: &[ConditionResult],
) -> RobustnessDifference {
    let pairs = of(&first.model, all).filter_map(|ours| {
        let corrupted = matches!(ours.condition, Condition::Corrupted { .. });
        let theirs = accuracy_of(&second.model, all, |condition| *condition == ours.condition)?;
        corrupted.then_some(ours.accuracy - theirs)
    });
    RobustnessDifference {
        first: first.model.clone(),
        second: second.model.clone(),
        clean: first.clean - second.clean,
        corrupted: Spread::of(&pairs.collect::<Vec<_>>()),
        drop: first.drop - second.drop,
        renditions: first
            .renditions
            .zip(second.renditions)
            .map(|(ours, theirs)| ours - theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::corruption::Corruption;

    fn result(model: &str, condition: Condition, accuracy: f64) -> ConditionResult {
        ConditionResult {
            model: model.into(),
            condition,
            accuracy,
            loss: 1.0,
            examples: 9,
        }
    }

    fn corrupted(kind: Corruption, severity: u8) -> Condition {
        Condition::Corrupted { kind, severity }
    }

    #[test]
    fn means_are_over_kinds_and_severities_and_drops_relative_to_clean() {
        let renditions = || Condition::Renditions {
            dataset: "r".into(),
        };
        let mut all = Vec::new();
        for (model, shift) in [("a", 0.0), ("b", -0.125)] {
            all.push(result(model, Condition::Clean, 0.875 + shift));
            all.push(result(model, corrupted(Corruption::Jpeg, 1), 0.75 + shift));
            all.push(result(model, corrupted(Corruption::Jpeg, 2), 0.5 + shift));
            all.push(result(
                model,
                corrupted(Corruption::Contrast, 1),
                0.25 + shift,
            ));
            all.push(result(model, corrupted(Corruption::Contrast, 2), 0.25));
            all.push(result(model, renditions(), 0.125));
        }
        let found = summarize("a", &all);
        assert_eq!(
            (found.clean, found.corrupted, found.drop),
            (0.875, 0.4375, 0.4375)
        );
        assert_eq!((found.relative_drop, found.renditions), (0.5, Some(0.125)));
        assert_eq!(
            found.by_kind,
            [("contrast".to_owned(), 0.25), ("jpeg".to_owned(), 0.625)].into()
        );
        assert_eq!(found.by_severity, [(1, 0.5), (2, 0.375)].into());
        let other = summarize("b", &all);
        let found = difference(&found, &other, &all);
        assert_eq!((found.clean, found.renditions), (0.125, Some(0.0)));
        assert_eq!((found.corrupted.mean, found.corrupted.count), (0.09375, 4));
        assert_eq!(found.drop, 0.03125);
    }
}
