//! From what was planned and how it ended to a [`Report`].

use super::execute::Ended;
use super::expected::expected;
use super::plan::{MODELS, PlannedExperiment};
use super::profile::PAPER_NEEDS;
use super::{Experiment, Profile};
use crate::report::{self, Report, ReportedRun, Row, Spread, Status};
use nac_train::summary::RunSummary;

/// What the paper's column says where its numbers are not known.
const NOT_PUBLISHED: &str = "not published";

/// What a report needs besides the runs.
#[derive(Debug, Clone)]
pub(super) struct Frame<'a> {
    /// The command as it was typed.
    pub(super) command: &'a str,
    /// The profile that was asked for.
    pub(super) profile: Profile,
    /// Whether settings were changed on the command line.
    pub(super) changed: bool,
    /// More to say, such as why data are missing.
    pub(super) notes: Vec<String>,
}

/// The report of a plan, of which `ended` says how each run ended.
pub(super) fn collect(
    plan: &[PlannedExperiment],
    ended: &[Vec<Ended>],
    frame: &Frame<'_>,
) -> Report {
    let mut report = Report {
        title: format!(
            "Neural Attentive Circuits: reproduction, profile {}",
            frame.profile
        ),
        command: frame.command.to_owned(),
        profile: frame.profile.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        notes: notes(plan, frame),
        experiments: Vec::new(),
        rows: Vec::new(),
        runs: Vec::new(),
    };
    for (experiment, ended) in plan.iter().zip(ended) {
        let (kind, name) = (
            experiment.experiment,
            experiment.experiment.name().to_owned(),
        );
        report.experiments.push(report::Experiment {
            name: name.clone(),
            title: kind.title(&experiment.config),
            task: kind.task(&experiment.config),
            notes: kind.notes(&experiment.config),
        });
        for (index, model) in MODELS.iter().enumerate() {
            // Runs are seed by seed, and within a seed in the order of the models.
            let ended: Vec<&Ended> = ended.iter().skip(index).step_by(MODELS.len()).collect();
            report
                .rows
                .push(row(experiment, &model.to_string(), &ended, frame.changed));
        }
        let finished = ended.iter().filter_map(|ended| match ended {
            Ended::Finished(summary) => Some((**summary).clone()),
            _ => None,
        });
        report.runs.extend(finished.map(|summary| ReportedRun {
            experiment: name.clone(),
            summary,
        }));
    }
    report
}

fn row(experiment: &PlannedExperiment, model: &str, ended: &[&Ended], changed: bool) -> Row {
    let finished: Vec<&RunSummary> = ended
        .iter()
        .filter_map(|ended| match ended {
            Ended::Finished(summary) => Some(&**summary),
            _ => None,
        })
        .collect();
    let values =
        |value: fn(&RunSummary) -> f64| finished.iter().map(|run| value(run)).collect::<Vec<_>>();
    let mean = |value| Spread::of(&values(value)).map(|spread| spread.mean);
    let (name, profile) = (experiment.experiment.name(), experiment.profile.name());
    let accuracies = finished.iter().filter_map(|run| run.primary(&run.test));
    let accuracies: Vec<f64> = accuracies.collect();
    let majorities = finished.iter().filter_map(|run| run.majority_accuracy);
    let majorities: Vec<f64> = majorities.collect();
    let classes = finished.first().and_then(|run| run.output.class_count());
    // What was measured says nothing about other settings.
    let measured = if changed {
        None
    } else {
        expected(profile, name, model)
    };
    Row {
        experiment: name.into(),
        title: experiment.experiment.title(&experiment.config),
        model: model.into(),
        profile: profile.into(),
        seeds: experiment.seeds.clone(),
        parameters: finished.first().map(|run| run.parameters),
        wall_seconds: mean(|run| run.wall_seconds),
        paper: NOT_PUBLISHED.into(),
        accuracy: Spread::of(&accuracies),
        expected: measured.map(|entry| entry.spread()),
        majority_accuracy: Spread::of(&majorities).map(|spread| spread.mean),
        chance_accuracy: classes.map(|classes| 1.0 / classes as f64),
        status: status(experiment, ended),
    }
}

fn status(experiment: &PlannedExperiment, ended: &[&Ended]) -> Status {
    if let Some(reason) = &experiment.skipped {
        return Status::Skipped {
            reason: reason.clone(),
        };
    }
    let failure = ended.iter().find_map(|ended| match ended {
        Ended::Failed(reason) => Some(Status::Failed {
            reason: reason.clone(),
        }),
        _ => None,
    });
    failure.unwrap_or_else(|| {
        if ended.contains(&&Ended::Stopped) {
            Status::Stopped
        } else {
            Status::Done
        }
    })
}

fn notes(plan: &[PlannedExperiment], frame: &Frame<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    match frame.profile {
        Profile::Quick => {
            notes.push(
                "The quick profile is sized for two CPU cores and minutes: small models, few steps, short ListOps \
                 expressions. Its accuracies show that everything works and how the models compare at this size, not \
                 what the architecture can reach."
                    .into(),
            );
            notes.push(format!("The paper's sizes: --profile paper {PAPER_NEEDS}."));
        }
        Profile::Paper => notes.push(
            "The paper profile takes the sizes of the paper's 320-module circuit. The protocols are ours, because \
             the paper does not give them for these tasks."
                .into(),
        ),
    }
    notes.push(
        "The authors' numbers for these tasks are not known to us: neither their code nor its documentation has \
         them. The column Paper therefore says “not published”, and no value replaces it."
            .into(),
    );
    if frame.changed {
        notes.push("Settings were changed with --set, so there is no value to expect.".into());
    }
    if plan.iter().any(|experiment| {
        experiment.experiment == Experiment::Cifar10 && experiment.skipped.is_some()
    }) {
        notes.push(
            "CIFAR-10 was skipped: its files are not on this machine and could not be downloaded."
                .into(),
        );
    }
    notes.extend(frame.notes.iter().cloned());
    notes
}
