//! [`Corrupted`]: a data set whose images are corrupted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Corruption;
use crate::random::Stream;
use crate::{Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, Values};

/// The table `[data.corruption]`: how the images of the test part are corrupted. Training and validation images never
/// are.
///
/// ```toml
/// [data]
/// name = "cifar10"
/// corruption = { kind = "gaussian_noise", severity = 3 }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptionConfig {
    /// What is done to them.
    pub kind: Corruption,
    /// How strongly, 1 to 5.
    pub severity: u8,
    /// Seed of the noise, whatever the run's seed: every run is tested on the same images. Default 0.
    #[serde(default)]
    pub seed: u64,
}

impl CorruptionConfig {
    /// A text like `gaussian_noise:3`, with seed 0.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] for an unknown corruption, [`DataError::Config`] for a severity other than 1 to 5.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let (kind, severity) = text.split_once(':').unwrap_or((text, ""));
        let kind = Corruption::parse(kind.trim())?;
        let severity = severity.trim().parse().ok().filter(|s| (1..=5).contains(s));
        let severity = severity.ok_or_else(|| DataError::Config {
            field: "data.corruption".into(),
            reason: format!(
                "`{text}` must end in a severity of 1 to 5, as `{}:3` does",
                kind.name()
            ),
        })?;
        Ok(Self {
            kind,
            severity,
            seed: 0,
        })
    }
}

/// The examples of a data set with every image corrupted. Its name says so: `cifar10 + gaussian_noise 3`.
pub struct Corrupted {
    dataset: Arc<dyn Dataset>,
    info: DatasetInfo,
    config: CorruptionConfig,
}

impl Corrupted {
    /// Corrupts the images of a data set.
    ///
    /// # Errors
    /// [`DataError::Config`] for a data set without images, or a severity other than 1 to 5.
    pub fn new(dataset: Arc<dyn Dataset>, config: CorruptionConfig) -> Result<Self, DataError> {
        let mut info = dataset.info().clone();
        super::Strength::of(config.kind, config.severity, 1)?;
        if !info
            .inputs
            .iter()
            .any(|(_, kind)| matches!(kind, InputKind::Image { .. }))
        {
            return Err(DataError::Config {
                field: "data.corruption".into(),
                reason: format!("needs an image; data set `{}` has none", info.name),
            });
        }
        info.name = format!("{} + {} {}", info.name, config.kind.name(), config.severity);
        Ok(Self {
            dataset,
            info,
            config,
        })
    }
}

impl Dataset for Corrupted {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        let CorruptionConfig {
            kind,
            severity,
            seed,
        } = self.config;
        let mut example = self.dataset.get(index)?;
        let members = [u64::from(severity), index as u64];
        let mut stream = Stream::new(seed, kind.name(), &members);
        for (name, input) in self.info.inputs.iter() {
            let found = example.inputs.iter_mut().find(|(found, _)| found == name);
            let (InputKind::Image { .. }, Some((_, buffer))) = (input, found) else {
                continue;
            };
            if let (&[channels, height, width], Values::U8(pixels)) =
                (buffer.shape(), buffer.values())
            {
                let shape = [channels, height, width];
                let pixels = kind.apply(shape, pixels, severity, &mut stream)?;
                *buffer = Buffer::new(shape.to_vec(), Values::U8(pixels))?;
            }
        }
        Ok(example)
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.dataset.class(index)
    }

    fn answers(&self) -> Option<&[usize]> {
        self.dataset.answers()
    }

    fn file(&self, index: usize) -> Option<&std::path::Path> {
        self.dataset.file(index)
    }
}
