//! The images under each [`Condition`].

use std::sync::Arc;

use nac_data::corruption::{Corrupted, CorruptionConfig};
use nac_data::split::Subset;
use nac_data::{DataConfig, DataDirs, DataError, Dataset, InputKind, Progress, open_with_progress};

use super::condition::Condition;
use super::config::RobustnessConfig;
use crate::config::ValidConfig;
use crate::error::{Result, TrainError};

/// The test images, or some of them.
pub(super) struct Images {
    test: Arc<dyn Dataset>,
    /// Evenly spaced over the test part.
    indices: Vec<usize>,
    seed: u64,
}

impl Images {
    /// # Errors
    /// There are no images.
    pub(super) fn new(test: Arc<dyn Dataset>, config: &RobustnessConfig) -> Result<Self> {
        let is_image = |(_, kind): (&str, &InputKind)| matches!(kind, InputKind::Image { .. });
        if !test.info().inputs.iter().any(is_image) {
            let reason = "has no images, and nothing else can be corrupted";
            return Err(TrainError::Input {
                dataset: test.info().name.clone(),
                reason: reason.into(),
            });
        }
        let len = test.len();
        let count = config.limit.map_or(len, |limit| limit.min(len));
        let index = |at: usize| at * len / count.max(1);
        Ok(Self {
            indices: (0..count).map(index).collect(),
            test,
            seed: config.seed,
        })
    }

    /// The whole test part.
    pub(super) fn test(&self) -> &dyn Dataset {
        self.test.as_ref()
    }

    /// Number of images that are used.
    pub(super) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The images that are used. The noise of one does not depend on how many they are.
    pub(super) fn under(&self, condition: &Condition) -> Result<Arc<dyn Dataset>> {
        let whole: Arc<dyn Dataset> = match *condition {
            Condition::Corrupted { kind, severity } => {
                let corruption = CorruptionConfig {
                    kind,
                    severity,
                    seed: self.seed,
                };
                Arc::new(Corrupted::new(self.test.clone(), corruption)?)
            }
            _ => self.test.clone(),
        };
        if self.len() == whole.len() {
            return Ok(whole);
        }
        Ok(Arc::new(Subset::new(whole, self.indices.clone())?))
    }
}

/// The renditions that there are of a run's data set, if its files are found; what is missing is said.
pub(super) fn renditions(
    config: &ValidConfig,
    dirs: &DataDirs,
    progress: &dyn Progress,
) -> Result<Option<Arc<dyn Dataset>>> {
    let name = match config.data.name.as_str() {
        "tiny-imagenet" => "tiny-imagenet-r",
        "imagenet" => "imagenet-r",
        _ => return Ok(None),
    };
    // Classes have other numbers where some were chosen.
    if !config.data.classes.is_empty() {
        progress.note(&format!(
            "{name} is left out: the run has only some of the classes"
        ));
        return Ok(None);
    }
    let data = DataConfig {
        name: name.into(),
        image: config.data.image.clone(),
        skip_unreadable: config.data.skip_unreadable,
        ..DataConfig::default()
    };
    match open_with_progress(&data, dirs, config.seed, progress) {
        Ok(splits) => Ok(Some(splits.test)),
        Err(error @ DataError::NotFound { .. }) => {
            progress.note(&format!("{name} is left out: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::corruption::Corruption;
    use nac_data::testing::InMemory;

    #[test]
    fn some_images_have_the_noise_that_they_have_among_all() {
        let images = |limit| {
            let test = Arc::new(InMemory::images(10, 1, 8, 8, 2));
            let config = RobustnessConfig {
                limit,
                ..RobustnessConfig::default()
            };
            Images::new(test, &config).unwrap()
        };
        let (all, some) = (images(None), images(Some(4)));
        assert_eq!(some.indices, [0, 2, 5, 7]);
        let condition = Condition::Corrupted {
            kind: Corruption::GaussianNoise,
            severity: 5,
        };
        let (all, some) = (
            all.under(&condition).unwrap(),
            some.under(&condition).unwrap(),
        );
        assert_eq!((all.len(), some.len()), (10, 4));
        assert_eq!(some.get(2).unwrap(), all.get(5).unwrap());
        assert_eq!(images(Some(99)).len(), 10);
        let tokens = Arc::new(InMemory::tokens(4, 9, 5, 2));
        assert!(Images::new(tokens, &RobustnessConfig::default()).is_err());
    }
}
