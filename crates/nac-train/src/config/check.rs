//! Ranges of settings, checked once. What depends on the model or the data is checked when they
//! are built, before anything is written.

use std::ops::Deref;

use nac_data::DataConfig;

use super::{ProcessesConfig, RunConfig};
use crate::error::{Result, TrainError};
use crate::metrics;

/// A [`RunConfig`] whose values are in their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidConfig(RunConfig);

impl Deref for ValidConfig {
    type Target = RunConfig;

    fn deref(&self) -> &RunConfig {
        &self.0
    }
}

impl RunConfig {
    /// Checks all ranges, and makes paths of data absolute, so that the settings that a run writes down can be used from
    /// every folder.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first setting that is out of range.
    pub fn check(&self) -> Result<ValidConfig> {
        check_name(&self.name)?;
        let writable = i64::try_from(self.seed).is_ok();
        require(
            "seed",
            self.seed,
            writable,
            "must be below 2^63, the greatest integer of TOML",
        )?;
        self.check_sizes()?;
        let timeout = self.processes.timeout_seconds;
        require(
            "processes.timeout_seconds",
            timeout,
            (1..=ProcessesConfig::MAX_TIMEOUT).contains(&timeout),
            "must be from 1 to a week",
        )?;
        self.check_training()?;
        self.check_optimizer()?;
        self.check_signature_fit()?;
        self.check_loss()?;
        let mut config = self.clone();
        for (name, path) in DataConfig::PATHS.iter().zip(config.data.paths_mut()) {
            if let Some(path) = path {
                let absolute = std::path::absolute(&*path);
                *path = absolute.map_err(|error| {
                    let name = format!("data.{name}");
                    TrainError::setting(&name, path.display(), error.to_string())
                })?;
            }
        }
        Ok(ValidConfig(config))
    }

    fn check_training(&self) -> Result<()> {
        let training = &self.training;
        if let (Some(steps), Some(_)) = (training.steps, training.epochs) {
            return Err(TrainError::setting(
                "training.steps",
                steps,
                "give either steps or epochs, not both",
            ));
        }
        let at_least_one = [
            ("training.steps", training.steps.unwrap_or(1)),
            ("training.epochs", training.epochs.unwrap_or(1)),
            ("training.batch_size", training.batch_size as u64),
            ("training.accumulate", training.accumulate as u64),
            ("training.eval_batch_size", training.eval_batch_size as u64),
            (
                "training.keep_checkpoints",
                training.keep_checkpoints as u64,
            ),
            ("training.log_every", training.log_every),
            (
                "training.validation_examples",
                training.validation_examples as u64,
            ),
        ];
        at_least_one
            .into_iter()
            .try_for_each(|(name, value)| require(name, value, value > 0, "must be at least 1"))?;
        self.check_metrics()
    }

    fn check_metrics(&self) -> Result<()> {
        let names = &self.training.metrics;
        for (index, name) in names.iter().enumerate() {
            let fits = metrics::by_name(name).is_some() && !names[..index].contains(name);
            let reason = "must be accuracy, top-<k>, mse, mae or r2, each once";
            require("training.metrics", format!("{name:?}"), fits, reason)?;
        }
        Ok(())
    }

    fn check_optimizer(&self) -> Result<()> {
        let optimizer = &self.optimizer;
        let positive = [
            ("optimizer.learning_rate", optimizer.learning_rate),
            ("optimizer.eps", optimizer.eps),
            ("optimizer.clip_norm", optimizer.clip_norm.unwrap_or(1.0)),
        ];
        for (name, value) in positive {
            require(
                name,
                value,
                value.is_finite() && value > 0.0,
                "must be a positive number",
            )?;
        }
        for beta in optimizer.betas {
            require(
                "optimizer.betas",
                beta,
                (0.0..1.0).contains(&beta),
                "must lie in [0, 1)",
            )?;
        }
        let patterns = &optimizer.trained;
        let fits = !patterns.is_empty() && patterns.iter().all(|pattern| !pattern.is_empty());
        let reason = "must be names of parameters, with * for any text; [\"*\"] is all of them";
        require("optimizer.trained", format!("{patterns:?}"), fits, reason)?;
        let decay = optimizer.weight_decay;
        require(
            "optimizer.weight_decay",
            decay,
            decay.is_finite() && decay >= 0.0,
            "must not be negative",
        )?;
        for (name, value) in [
            ("optimizer.min_lr", optimizer.min_lr),
            ("optimizer.warmup_from", optimizer.warmup_from),
        ] {
            let fits = (0.0..=optimizer.learning_rate).contains(&value);
            require(
                name,
                value,
                fits,
                "must lie between 0 and optimizer.learning_rate",
            )?;
        }
        Ok(())
    }
}

/// The name becomes a folder below `runs/`.
fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
    require(
        "name",
        format!("{name:?}"),
        fits,
        "must be letters, digits, '-', '_' or '.', and not start with '.'",
    )
}

pub(crate) fn require(name: &str, value: impl ToString, fits: bool, reason: &str) -> Result<()> {
    if fits {
        Ok(())
    } else {
        Err(TrainError::setting(name, value, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GraphPriorConfig, SignatureDistributionConfig, SignatureRepulsionConfig};

    fn scale_free() -> GraphPriorConfig {
        GraphPriorConfig::new(nac_core::PriorConfig::from_name("scale-free").unwrap())
    }

    #[test]
    fn paths_of_data_become_absolute() {
        let mut config = RunConfig::default();
        config.data.path = Some("photos".into());
        let checked = config.check().unwrap();
        let path = checked.data.path.clone().unwrap();
        assert!(path.is_absolute() && path.ends_with("photos"), "{path:?}");
        assert_eq!(checked.check().unwrap(), checked);
        // Each of them, under its name.
        for (at, name) in DataConfig::PATHS.iter().enumerate() {
            let mut config = RunConfig::default();
            *config.data.paths_mut()[at] = Some("here".into());
            let mut checked = RunConfig::clone(&config.check().unwrap());
            let path = checked.data.paths_mut()[at].clone().unwrap();
            assert!(path.is_absolute(), "{path:?}");
            *config.data.paths_mut()[at] = Some("".into());
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(&format!("data.{name}")), "{error}");
        }
        config.data.path = Some("".into());
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("data.path")
        );
    }

    #[test]
    fn settings_out_of_range_are_named() {
        RunConfig::default().check().unwrap();
        type Change = fn(&mut RunConfig);
        let cases: [(&str, Change); 26] = [
            ("training.accumulate", |c| c.training.accumulate = 0),
            ("training.metrics", |c| {
                c.training.metrics = vec!["acuracy".into()]
            }),
            ("seed", |c| c.seed = u64::MAX),
            ("loss.graph_prior.prior", |c| {
                let prior = nac_core::PriorConfig::from_name("planted-partition").unwrap();
                (c.model.circuit.modules, c.loss.graph_prior) =
                    (8, Some(GraphPriorConfig::new(prior)));
            }),
            ("name", |c| c.name = "../up".into()),
            ("training.steps", |c| {
                (c.training.steps, c.training.epochs) = (Some(1), Some(1))
            }),
            ("training.epochs", |c| c.training.epochs = Some(0)),
            ("training.batch_size", |c| c.training.batch_size = 0),
            ("training.keep_checkpoints", |c| {
                c.training.keep_checkpoints = 0
            }),
            ("optimizer.learning_rate", |c| {
                c.optimizer.learning_rate = f64::NAN
            }),
            ("optimizer.betas", |c| c.optimizer.betas[1] = 1.0),
            ("optimizer.weight_decay", |c| {
                c.optimizer.weight_decay = -0.1
            }),
            ("optimizer.min_lr", |c| c.optimizer.min_lr = 1.0),
            ("optimizer.warmup_from", |c| c.optimizer.warmup_from = -1.0),
            ("optimizer.clip_norm", |c| c.optimizer.clip_norm = Some(0.0)),
            ("loss.label_smoothing", |c| c.loss.label_smoothing = 1.0),
            ("loss.graph_prior.weight", |c| {
                c.loss.graph_prior = Some(GraphPriorConfig {
                    weight: (-0.1).into(),
                    ..scale_free()
                })
            }),
            ("loss.graph_prior.refresh_every", |c| {
                c.loss.graph_prior = Some(GraphPriorConfig {
                    refresh_every: 0,
                    ..scale_free()
                })
            }),
            ("loss.graph_prior.clip", |c| {
                c.loss.graph_prior = Some(GraphPriorConfig {
                    clip: Some(-1.0),
                    ..scale_free()
                })
            }),
            ("loss.graph_prior.multiplicative_matching_noise", |c| {
                c.loss.graph_prior = Some(GraphPriorConfig {
                    multiplicative_matching_noise: Some(f64::NAN),
                    ..scale_free()
                })
            }),
            ("loss.signature_repulsion.modules", |c| {
                c.model.circuit.wiring.separate_read_in_modules = false;
                c.loss.signature_repulsion = Some(Default::default())
            }),
            ("loss.circuit_spread.hinge", |c| {
                c.loss.circuit_spread = Some(crate::config::CircuitSpreadConfig {
                    hinge: 0.0,
                    ..Default::default()
                })
            }),
            ("loss.signature_repulsion.hinge", |c| {
                c.loss.signature_repulsion = Some(SignatureRepulsionConfig {
                    hinge: 0.0,
                    ..Default::default()
                })
            }),
            ("loss.signature_repulsion.truncation", |c| {
                c.loss.signature_repulsion = Some(SignatureRepulsionConfig {
                    truncation: Some(2.1),
                    ..Default::default()
                })
            }),
            ("loss.signature_distribution.components", |c| {
                c.loss.signature_distribution = Some(SignatureDistributionConfig {
                    components: 0,
                    ..Default::default()
                })
            }),
            ("loss.signature_distribution.weight", |c| {
                c.loss.signature_distribution = Some(SignatureDistributionConfig {
                    weight: f64::INFINITY.into(),
                    ..Default::default()
                })
            }),
        ];
        for (name, change) in cases {
            let mut config = RunConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} = ")), "{name}: {error}");
        }
    }
}
