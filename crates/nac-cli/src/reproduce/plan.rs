//! Which runs there are: experiments × seeds × models, each with its settings and its folder.

use std::path::{Path, PathBuf};

use nac_modules::model::ModelKind;

use super::{Experiment, Profile};
use nac_train::Result;
use nac_train::config::{Override, RunConfig};

/// Circuit first, then the baseline of the same size, then what the tokenizer alone does.
pub(super) const MODELS: [ModelKind; 3] =
    [ModelKind::Nac, ModelKind::PerceiverIo, ModelKind::StemOnly];

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedRun {
    /// Which model.
    pub(super) model: ModelKind,
    /// Its settings.
    pub(super) config: RunConfig,
    /// Where it is kept.
    pub(super) folder: PathBuf,
}

/// An experiment and its runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedExperiment {
    /// Which task.
    pub(super) experiment: Experiment,
    /// The profile that it is run in.
    pub(super) profile: Profile,
    /// Its settings, for the circuit and the first seed.
    pub(super) config: RunConfig,
    /// Seeds.
    pub(super) seeds: Vec<u64>,
    /// The runs, seed by seed; none if it is skipped.
    pub(super) runs: Vec<PlannedRun>,
    /// Why it is skipped.
    pub(super) skipped: Option<String>,
}

impl PlannedExperiment {
    /// The runs of an experiment in folders below `out`. The first seed is that of the settings.
    ///
    /// # Errors
    /// An override cannot be used, or a setting is out of range.
    pub(super) fn new(
        experiment: Experiment,
        profile: Profile,
        overrides: &[Override],
        seed_count: u64,
        out: &Path,
    ) -> Result<Self> {
        let profile = experiment.profile(profile);
        let config = experiment.config(profile, overrides)?;
        let seeds: Vec<u64> = (0..seed_count)
            .map(|k| config.seed.saturating_add(k))
            .collect();
        let mut runs = Vec::new();
        for &seed in &seeds {
            for model in MODELS {
                let name = format!("{profile}-{}-{model}-seed{seed}", experiment.name());
                let folder = out.join(&name);
                let mut config = RunConfig {
                    name,
                    seed,
                    ..config.clone()
                };
                config.model.kind = model;
                config.check()?;
                runs.push(PlannedRun {
                    model,
                    config,
                    folder,
                });
            }
        }
        Ok(Self {
            experiment,
            profile,
            config,
            seeds,
            runs,
            skipped: None,
        })
    }

    /// The same experiment, not run for a reason that is no fault.
    pub(super) fn skip(self, reason: &str) -> Self {
        Self {
            runs: Vec::new(),
            skipped: Some(reason.to_owned()),
            ..self
        }
    }

    /// What a run is called in messages, such as `ListOps, short: NAC, seed 0`.
    pub(super) fn label(&self, run: &PlannedRun) -> String {
        let model = crate::report::model_label(&run.model.to_string()).to_owned();
        format!(
            "{}: {model}, seed {}",
            self.experiment.title(&self.config),
            run.config.seed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_models_get_the_same_budget_and_seed() {
        let overrides = [
            "seed=5".parse().unwrap(),
            "training.steps=3".parse().unwrap(),
        ];
        let plan = PlannedExperiment::new(
            Experiment::ListOps,
            Profile::Quick,
            &overrides,
            2,
            Path::new("out"),
        )
        .unwrap();
        let names: Vec<_> = plan
            .runs
            .iter()
            .map(|run| run.config.name.as_str())
            .collect();
        let expected = [
            "nac-seed5",
            "perceiver-io-seed5",
            "stem-only-seed5",
            "nac-seed6",
            "perceiver-io-seed6",
            "stem-only-seed6",
        ]
        .map(|n| format!("quick-listops-{n}"));
        assert_eq!(names, expected);
        assert_eq!(plan.seeds, [5, 6]);
        for runs in plan.runs.chunks(3) {
            assert_eq!(runs[0].config.training.steps, Some(3));
            for (run, kind) in runs.iter().zip(MODELS) {
                let mut circuit = runs[0].config.clone();
                (circuit.name, circuit.model.kind) = (run.config.name.clone(), kind);
                assert_eq!(circuit, run.config, "only name and model differ");
                assert_eq!(run.folder, Path::new("out").join(&run.config.name));
            }
        }
        assert_eq!(
            plan.label(&plan.runs[1]),
            "ListOps, short: Perceiver IO, seed 5"
        );
    }

    #[test]
    fn bad_overrides_are_found_before_anything_runs() {
        let plan = |text: &str| {
            let overrides = [text.parse().unwrap()];
            PlannedExperiment::new(
                Experiment::Digits,
                Profile::Paper,
                &overrides,
                1,
                Path::new("out"),
            )
        };
        let error = plan("training.batch_size=0").unwrap_err().to_string();
        assert!(error.contains("training.batch_size"), "{error}");
        assert_eq!(plan("training.steps=1").unwrap().profile, Profile::Quick);
    }
}
