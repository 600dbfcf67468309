//! Accuracies to expect: `configs/expected.toml`, filled in by measuring.

use serde::Deserialize;

use crate::report::Spread;

const TEXT: &str = include_str!("../../configs/expected.toml");

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expected: Vec<Expected>,
}

/// What was measured for a row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Profile, such as `quick`.
    pub profile: String,
    /// Experiment, such as `listops`.
    pub experiment: String,
    /// Kind of the model, such as `nac`.
    pub model: String,
    /// Mean test accuracy over seeds, 0 to 1.
    pub accuracy_mean: f64,
    /// Its standard deviation; none for one seed.
    #[serde(default)]
    pub accuracy_sd: Option<f64>,
    /// Number of seeds.
    pub seeds: usize,
    /// Machine and versions.
    pub measured_with: String,
}

impl Expected {
    /// As the table shows it.
    #[must_use]
    pub fn spread(&self) -> Spread {
        Spread {
            mean: self.accuracy_mean,
            sd: self.accuracy_sd,
            count: self.seeds,
        }
    }
}

/// The entry for a row, if it was measured.
#[must_use]
pub fn expected(profile: &str, experiment: &str, model: &str) -> Option<Expected> {
    find(TEXT, profile, experiment, model)
}

fn find(text: &str, profile: &str, experiment: &str, model: &str) -> Option<Expected> {
    // A test reads the file that comes with the program.
    let file: File = toml::from_str(text).unwrap_or_default();
    let is_it = |entry: &Expected| {
        (&*entry.profile, &*entry.experiment, &*entry.model) == (profile, experiment, model)
    };
    file.expected.into_iter().find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::{Experiment, Profile};

    #[test]
    fn the_file_is_valid_and_without_doubles() {
        let file: File = toml::from_str(TEXT).unwrap();
        let mut seen = std::collections::HashSet::new();
        for entry in file.expected {
            assert!(
                [Profile::Quick, Profile::Paper]
                    .iter()
                    .any(|p| p.name() == entry.profile)
            );
            assert!(Experiment::ALL.iter().any(|e| e.name() == entry.experiment));
            assert!(["nac", "perceiver-io", "stem-only"].contains(&entry.model.as_str()));
            assert!((0.0..=1.0).contains(&entry.accuracy_mean) && entry.seeds > 0);
            assert_eq!(entry.accuracy_sd.is_some(), entry.seeds > 1);
            assert!(!entry.measured_with.is_empty());
            assert!(seen.insert((entry.profile, entry.experiment, entry.model)));
        }
    }

    #[test]
    fn the_example_in_the_file_can_be_used() {
        let (_, example) = TEXT.split_once("#\n# [[expected]]").unwrap();
        let example = format!(
            "[[expected]]{}",
            example.split("\n\n").next().unwrap().replace("\n# ", "\n")
        );
        let entry = find(&example, "quick", "listops", "nac").unwrap();
        assert_eq!(entry.spread().percent(), "50.0 ± 1.0 %");
        assert_eq!(find(&example, "paper", "listops", "nac"), None);
    }
}
