//! [`AdaptConfig`]: the settings of an adaptation, as a TOML file.

use std::fs;
use std::path::Path;

use nac_data::DataConfig;
use serde::{Deserialize, Serialize};

use super::part::TrainedPart;
use crate::config::{Executor, Precision, parse_toml, require};
use crate::error::{Result, TrainError};

/// Which data a trained model is adapted to, with how many examples, and how that is trained.
///
/// ```toml
/// name = "digits 0-5 to 6-9"
///
/// [data]                 # the target, as in the settings of a run
/// name = "digits"
/// classes = [6, 7, 8, 9]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptConfig {
    /// Name of the adaptation, and of its folder below `runs/`. Default `adaptation`.
    pub name: String,
    /// Seed of the episodes, of new heads and of the order of examples. Default 0.
    pub seed: u64,
    /// `auto`, `cpu`, `cuda` or `cuda:<index>`. Default `auto`.
    pub device: String,
    /// Threads; 0 is libtorch's default. Default 0.
    pub threads: usize,
    /// Examples of each class that are trained on, each number in turn. Default 1, 2, 4, 8 and 16.
    pub shots: Vec<usize>,
    /// Draws of these examples for each number. Default 5.
    pub episodes: usize,
    /// What is trained, each in turn. Default `descriptors`.
    pub train: Vec<TrainedPart>,
    /// Keep each adapted model as the folder of a run below `models/`. Default false.
    pub save_models: bool,
    /// The target.
    pub data: DataConfig,
    /// How learning rate and number of steps are chosen.
    pub search: SearchConfig,
    /// How the few examples are trained on.
    pub training: AdaptTraining,
}

/// Learning rates and numbers of steps, from which episodes of the source data choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Learning rates to try. Each model tries them all. Default 3e-4, 1e-3, 3e-3 and 1e-2.
    pub learning_rates: Vec<f64>,
    /// Numbers of optimizer steps to try. All models take the same. Default 20, 50 and 100.
    pub steps: Vec<u64>,
    /// Episodes of the source data for each learning rate. Default 3.
    pub episodes: usize,
}

/// The part of `[training]` and `[optimizer]` that an adaptation has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptTraining {
    /// Examples per batch; fewer if there are fewer. Default 32.
    pub batch_size: usize,
    /// Examples per batch in evaluation. Default 128.
    pub eval_batch_size: usize,
    /// Threads that read test examples ahead. Default 1.
    pub workers: usize,
    /// What runs the blocks of the model. Default `auto`.
    pub executor: Executor,
    /// Numbers that products are computed in. Default `float32`.
    pub precision: Precision,
    /// Decay of matrices that are trained. Default 0: the few steps start from weights that are good.
    pub weight_decay: f64,
    /// Greatest global norm of the gradient. Default 1.
    pub clip_norm: f64,
}

impl Default for AdaptConfig {
    fn default() -> Self {
        Self {
            name: "adaptation".into(),
            seed: 0,
            device: "auto".into(),
            threads: 0,
            shots: vec![1, 2, 4, 8, 16],
            episodes: 5,
            train: vec![TrainedPart::Descriptors],
            save_models: false,
            data: DataConfig::default(),
            search: SearchConfig::default(),
            training: AdaptTraining::default(),
        }
    }
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            learning_rates: vec![3e-4, 1e-3, 3e-3, 1e-2],
            steps: vec![20, 50, 100],
            episodes: 3,
        }
    }
}

impl Default for AdaptTraining {
    fn default() -> Self {
        Self {
            batch_size: 32,
            eval_batch_size: 128,
            workers: 1,
            executor: Executor::default(),
            precision: Precision::default(),
            weight_decay: 0.0,
            clip_norm: 1.0,
        }
    }
}

impl AdaptConfig {
    /// Greatest number of shots, of episodes, of steps and of sizes.
    const MOST: u64 = 1_000_000;

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or [`TrainError::ConfigFile`] with line and column for an unknown key, a wrong type or bad
    /// syntax.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        parse_toml(&text, path)
    }

    /// Checks all ranges; shots and steps must increase, so that each is there once.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first setting that is out of range.
    pub fn check(&self) -> Result<()> {
        let (search, training) = (&self.search, &self.training);
        let writable = i64::try_from(self.seed).is_ok();
        require("seed", self.seed, writable, "must be below 2^63")?;
        increasing(
            "shots",
            &self.shots.iter().map(|&k| k as u64).collect::<Vec<_>>(),
        )?;
        increasing("search.steps", &search.steps)?;
        let data = &self.data;
        let reason = "the number is `shots`, beside the target";
        require(
            "data.shots",
            data.shots.unwrap_or(0),
            data.shots.is_none(),
            reason,
        )?;
        let reason = "examples of an episode are not changed at random";
        let augment = format!("{:?}", data.augment);
        require("data.augment", augment, data.augment.is_empty(), reason)?;
        let counts = [
            ("episodes", self.episodes),
            ("search.episodes", search.episodes),
            ("training.batch_size", training.batch_size),
            ("training.eval_batch_size", training.eval_batch_size),
        ];
        for (name, value) in counts {
            let fits = (1..=Self::MOST).contains(&(value as u64));
            require(name, value, fits, "must be from 1 to a million")?;
        }
        let distinct = (1..self.train.len()).all(|at| !self.train[..at].contains(&self.train[at]));
        let fits = !self.train.is_empty() && distinct;
        let reason = "must be head, descriptors or all, each at most once";
        require("train", format!("{:?}", self.train), fits, reason)?;
        let rates = &search.learning_rates;
        let fits = rates.iter().all(|rate| rate.is_finite() && *rate > 0.0) && !rates.is_empty();
        let reason = "must be positive numbers, at least one";
        require("search.learning_rates", format!("{rates:?}"), fits, reason)?;
        let (decay, clip) = (training.weight_decay, training.clip_norm);
        let fits = decay.is_finite() && decay >= 0.0;
        require("training.weight_decay", decay, fits, "must not be negative")?;
        let fits = clip.is_finite() && clip > 0.0;
        require(
            "training.clip_norm",
            clip,
            fits,
            "must be a positive number",
        )
    }
}

fn increasing(name: &str, values: &[u64]) -> Result<()> {
    let inside = values
        .iter()
        .all(|value| (1..=AdaptConfig::MOST).contains(value));
    let fits = inside && !values.is_empty() && values.windows(2).all(|pair| pair[0] < pair[1]);
    let reason = "must be numbers from 1 to a million that increase, at least one";
    require(name, format!("{values:?}"), fits, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_a_file() {
        let config = AdaptConfig::default();
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(
            parse_toml::<AdaptConfig>(&text, Path::new("a")).unwrap(),
            config
        );
        let error = parse_toml::<AdaptConfig>("episode = 3", Path::new("a.toml"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("a.toml:1:1: unknown field `episode`"),
            "{error}"
        );
    }

    #[test]
    fn impossible_settings_are_named() {
        type Change = fn(&mut AdaptConfig);
        let cases: [(&str, Change); 10] = [
            ("data.shots", |c| c.data.shots = Some(3)),
            ("data.augment", |c| {
                c.data.augment = vec!["horizontal_flip".into()]
            }),
            ("shots", |c| c.shots.clear()),
            ("shots", |c| c.shots = vec![4, 2]),
            ("shots", |c| c.shots = vec![0]),
            ("episodes", |c| c.episodes = 0),
            ("train", |c| c.train = vec![TrainedPart::Head; 2]),
            ("search.steps", |c| c.search.steps = vec![5, 5]),
            ("search.learning_rates", |c| {
                c.search.learning_rates = vec![f64::NAN]
            }),
            ("training.clip_norm", |c| c.training.clip_norm = 0.0),
        ];
        for (name, change) in cases {
            let mut config = AdaptConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} = ")), "{error}");
        }
    }
}
