//! [`Experiment`]: a task on which the circuit and the baselines are compared, with its settings.

use std::path::Path;

use super::Profile;
use nac_train::Result;
use nac_train::config::{Override, RunConfig, from_toml};

/// A file of settings: what for, its name and its text.
type Config = (Experiment, Profile, &'static str, &'static str);

macro_rules! configs {
    ($($experiment:ident $profile:ident $file:literal,)+) => {
        /// The settings that come with the program.
        const CONFIGS: &[Config] = &[$((
            Experiment::$experiment,
            Profile::$profile,
            $file,
            include_str!(concat!("../../configs/", $file)),
        )),+];
    };
}
configs! {
    ListOps Quick "quick-listops.toml",
    Cifar10 Quick "quick-cifar10.toml",
    TinyImagenet Quick "quick-tiny-imagenet.toml",
    SortOfClevr Quick "quick-sort-of-clevr.toml",
    Nlvr Quick "quick-nlvr.toml",
    Imdb Quick "quick-imdb.toml",
    ModelNet10 Quick "quick-modelnet10.toml",
    Shapes3d Quick "quick-shapes3d.toml",
    Digits Quick "quick-digits.toml",
    ListOps Paper "paper-listops.toml",
    Cifar10 Paper "paper-cifar10.toml",
}

/// A task on which the circuit and the baselines are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Experiment {
    /// ListOps by the rules of the Long Range Arena.
    #[value(name = "listops")]
    ListOps,
    /// CIFAR-10 from its original binary batches.
    Cifar10,
    /// Tiny-ImageNet from its original folders.
    TinyImagenet,
    /// Generated images with questions about them.
    SortOfClevr,
    /// NLVR: statements about drawings, from pixels.
    Nlvr,
    /// IMDB reviews as raw bytes.
    Imdb,
    /// ModelNet10 as voxels.
    #[value(name = "modelnet10")]
    ModelNet10,
    /// Generated solids as point clouds.
    Shapes3d,
    /// The UCI digits, which come with the program.
    Digits,
}

impl Experiment {
    /// All, in the order in which they run.
    pub const ALL: &[Self] = &[
        Self::ListOps,
        Self::Cifar10,
        Self::TinyImagenet,
        Self::SortOfClevr,
        Self::Nlvr,
        Self::Imdb,
        Self::ModelNet10,
        Self::Shapes3d,
        Self::Digits,
    ];

    /// Those that run if none is named.
    pub const DEFAULT: &[Self] = &[Self::ListOps, Self::Cifar10];

    /// Short name, as on the command line; that of the data set.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListOps => "listops",
            Self::Cifar10 => "cifar10",
            Self::TinyImagenet => "tiny-imagenet",
            Self::SortOfClevr => "sort-of-clevr",
            Self::Nlvr => "nlvr",
            Self::Imdb => "imdb",
            Self::ModelNet10 => "modelnet10",
            Self::Shapes3d => "shapes3d",
            Self::Digits => "digits",
        }
    }

    /// The profile that is run when `profile` is asked for: some have only a quick one.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Profile {
        let has = |config: &Config| (config.0, config.1) == (self, profile);
        if CONFIGS.iter().any(has) {
            profile
        } else {
            Profile::Quick
        }
    }

    /// Name of the file of settings and its text.
    #[must_use]
    pub fn config_text(self, profile: Profile) -> (&'static str, &'static str) {
        let profile = self.profile(profile);
        let found = CONFIGS
            .iter()
            .find(|config| (config.0, config.1) == (self, profile));
        // Every pair that `profile` gives is in the list; a test goes through them.
        found.map_or(("", ""), |config| (config.2, config.3))
    }

    /// Settings, changed by overrides.
    ///
    /// # Errors
    /// [`TrainError::Override`](nac_train::TrainError::Override) naming the one at fault.
    pub fn config(self, profile: Profile, overrides: &[Override]) -> Result<RunConfig> {
        let (file, text) = self.config_text(profile);
        from_toml(text, Path::new(file), overrides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::model::ModelKind;
    use nac_train::config::BaselineMatch;

    #[test]
    fn every_file_of_settings_is_valid_and_belongs_to_its_task() {
        for &experiment in Experiment::ALL {
            for profile in [Profile::Quick, Profile::Paper] {
                let (file, _) = experiment.config_text(profile);
                let config = experiment.config(profile, &[]).unwrap();
                config.check().unwrap();
                assert_eq!(config.data.name, experiment.name());
                assert_eq!(format!("{}.toml", config.name), file);
                assert_eq!(config.model.kind, ModelKind::Nac);
                assert_eq!(
                    config.baseline.matching,
                    BaselineMatch::Parameters,
                    "{file}"
                );
                assert!(config.loss.graph_prior.is_some(), "{file}");
            }
        }
        assert!(
            Experiment::ListOps
                .config(Profile::Paper, &[])
                .unwrap()
                .data
                .listops
                .is_long_range_arena()
        );
    }

    #[test]
    fn headers_say_source_command_needs_time_and_result() {
        for &(_, profile, file, text) in CONFIGS {
            for part in [
                "# Source:",
                "# Command:    nac reproduce-paper",
                "# Needs:",
                "# Time:",
                "# Expected:",
            ] {
                assert!(text.contains(part), "{file}: {part}");
            }
            if profile == Profile::Paper {
                assert!(
                    text.contains("The paper does not give its protocol for"),
                    "{file}"
                );
            }
        }
    }
}
