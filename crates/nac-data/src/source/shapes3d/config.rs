//! Settings of the generator of solids.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// Most examples of a part.
const MAX_EXAMPLES: usize = 100_000_000;

/// Settings of `shapes3d`: the table `[data.shapes3d]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shapes3dConfig {
    /// Training examples. Default 4,000; classes are equally frequent in multiples of ten.
    pub train: usize,
    /// Validation examples; 0 for a part carved from training. Default 500.
    pub validation: usize,
    /// Test examples. Default 1,000.
    pub test: usize,
    /// Standard deviation of the noise of each coordinate, for a solid whose farthest point is at 1. Default 0.03.
    pub noise: f64,
    /// What all solids follow from, whatever the seed of a run, so that runs are tested on the same ones. Default 0.
    pub seed: u64,
}

impl Default for Shapes3dConfig {
    fn default() -> Self {
        Self {
            train: 4_000,
            validation: 500,
            test: 1_000,
            noise: 0.03,
            seed: 0,
        }
    }
}

impl Shapes3dConfig {
    /// Checks sizes and noise.
    ///
    /// # Errors
    /// [`DataError::Config`] with the name of the setting.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |name: &str, reason: String| {
            Err(DataError::Config {
                field: format!("data.shapes3d.{name}"),
                reason,
            })
        };
        let sizes = [
            ("train", self.train, 1),
            ("validation", self.validation, 0),
            ("test", self.test, 1),
        ];
        for (name, size, least) in sizes {
            if !(least..=MAX_EXAMPLES).contains(&size) {
                return wrong(
                    name,
                    format!("{size} examples; it must be {least} to {MAX_EXAMPLES}"),
                );
            }
        }
        if !(0.0..=1.0).contains(&self.noise) {
            return wrong("noise", format!("{}; it must be 0 to 1", self.noise));
        }
        Ok(())
    }
}
