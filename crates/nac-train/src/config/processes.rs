//! `[processes]`: how many processes train one model, and what they send each other.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many processes train one model, and what they send each other. Those that `torchrun` or `srun` start are as many
/// as they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessesConfig {
    /// `auto` or a number. Default `auto`: on the CPU as many as cores where a step is small, else 1. A resumed run may have
    /// another.
    pub count: ProcessCount,
    /// How gradients travel. Default `none`: as they are.
    pub compress: Compress,
    /// Seconds after which a process that does not answer is given up. Default 120.
    pub timeout_seconds: u64,
}

impl ProcessesConfig {
    /// Greatest timeout in seconds: a week.
    pub const MAX_TIMEOUT: u64 = 7 * 24 * 3600;

    /// [`timeout_seconds`](Self::timeout_seconds).
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl Default for ProcessesConfig {
    fn default() -> Self {
        Self {
            count: ProcessCount::default(),
            compress: Compress::default(),
            timeout_seconds: 120,
        }
    }
}

/// How gradients travel between processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compress {
    /// As they are.
    #[default]
    None,
    /// In bfloat16, half the bytes; sums are taken in float32.
    Bf16,
}

/// A number of processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProcessCount {
    /// What suits the machine and the model.
    #[default]
    Auto,
    /// So many, at least 1.
    Exactly(usize),
}

impl ProcessCount {
    /// Greatest number of processes that one command starts.
    pub const MAX: usize = 1024;

    fn exactly(count: u64) -> Option<Self> {
        let count = usize::try_from(count).ok()?;
        (1..=Self::MAX)
            .contains(&count)
            .then_some(Self::Exactly(count))
    }
}

impl fmt::Display for ProcessCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(count) => count.fmt(f),
        }
    }
}

impl FromStr for ProcessCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count = text.parse().ok().and_then(Self::exactly);
        count.ok_or_else(|| format!("expected auto or a number from 1 to {}", Self::MAX))
    }
}

impl Serialize for ProcessCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Exactly(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl<'de> Deserialize<'de> for ProcessCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;

        impl Visitor<'_> for Count {
            type Value = ProcessCount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "auto or a number from 1 to {}", ProcessCount::MAX)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ProcessCount, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<ProcessCount, E> {
                let found = de::Unexpected::Unsigned(count);
                ProcessCount::exactly(count).ok_or_else(|| E::invalid_value(found, &self))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<ProcessCount, E> {
                let found = de::Unexpected::Signed(count);
                let count = u64::try_from(count).ok().and_then(ProcessCount::exactly);
                count.ok_or_else(|| E::invalid_value(found, &self))
            }
        }

        deserializer.deserialize_any(Count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_a_word_or_a_number_in_range() {
        let read = |text: &str| toml::from_str::<ProcessesConfig>(text);
        for (text, count) in [
            ("count = \"auto\"", ProcessCount::Auto),
            ("count = 3", ProcessCount::Exactly(3)),
            ("count = \"3\"", ProcessCount::Exactly(3)),
        ] {
            let config = read(text).unwrap();
            assert_eq!(config.count, count);
            let again = read(&toml::to_string(&config).unwrap()).unwrap();
            assert_eq!(again, config);
        }
        for text in [
            "count = 0",
            "count = -1",
            "count = 1025",
            "count = \"many\"",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("from 1 to 1024"), "{error}");
        }
    }
}
