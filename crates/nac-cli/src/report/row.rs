//! [`Row`]: a line of the results table, and how its values are shown.

use serde::{Deserialize, Serialize};

/// Mean and spread of an accuracy over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean, 0 to 1.
    pub mean: f64,
    /// Standard deviation of a sample (divided by count − 1); none for a single value.
    pub sd: Option<f64>,
    /// Number of values.
    pub count: usize,
}

impl Spread {
    /// Of some values; `None` without values.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>();
        let sd = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        Some(Self { mean, sd, count })
    }

    /// In percent, such as `45.2 ± 0.8 %`.
    #[must_use]
    pub fn percent(&self) -> String {
        match self.sd {
            Some(sd) => format!("{:.1} ± {:.1} %", 100.0 * self.mean, 100.0 * sd),
            None => percent(self.mean),
        }
    }
}

/// What became of the runs of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Status {
    /// All finished.
    Done,
    /// None started, for a reason that is no fault, such as `no data`.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// One stopped with an error.
    Failed {
        /// The error.
        reason: String,
    },
    /// Stopped by the user before the end; the same command continues.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A line of the results table: one model on one experiment, over all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// [`Experiment::name`](super::Experiment::name).
    pub experiment: String,
    /// Name of the data set to show, such as `ListOps`.
    pub title: String,
    /// Kind of the model, such as `nac`.
    pub model: String,
    /// Profile, such as `quick`.
    pub profile: String,
    /// Seeds that were asked for.
    pub seeds: Vec<u64>,
    /// Trained scalars.
    pub parameters: Option<usize>,
    /// Seconds of one run, mean over seeds.
    pub wall_seconds: Option<f64>,
    /// The paper's value, or `not published`.
    pub paper: String,
    /// Test accuracy of the last checkpoints, 0 to 1.
    pub accuracy: Option<Spread>,
    /// The value this program's authors measured for this profile, 0 to 1.
    pub expected: Option<Spread>,
    /// Test accuracy of always answering the most frequent class of train, 0 to 1.
    pub majority_accuracy: Option<f64>,
    /// Accuracy of answering at random, 0 to 1.
    pub chance_accuracy: Option<f64>,
    /// What became of it.
    pub status: Status,
}

impl Row {
    /// Heads of the columns of [`cells`](Self::cells).
    pub(super) const HEADS: [&'static str; 11] = [
        "Data",
        "Model",
        "Profile",
        "Seeds",
        "Parameters",
        "Time per run",
        "Chance",
        "Majority",
        "Paper",
        "Expected",
        "Ours",
    ];

    /// Values as they are shown; a row without result says in its last cell why.
    pub(super) fn cells(&self) -> [String; 11] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "—".into());
        let ours = match (&self.status, &self.accuracy) {
            (Status::Done, Some(accuracy)) => accuracy.percent(),
            (Status::Done, None) => "—".into(),
            (status, Some(accuracy)) => format!("{} ({status})", accuracy.percent()),
            (status, None) => status.to_string(),
        };
        [
            self.title.clone(),
            model_label(&self.model).into(),
            self.profile.clone(),
            self.seeds
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            or_dash(self.parameters.map(thousands)),
            or_dash(self.wall_seconds.map(duration)),
            or_dash(self.chance_accuracy.map(percent)),
            or_dash(self.majority_accuracy.map(percent)),
            self.paper.clone(),
            self.expected
                .map_or_else(|| "not measured".into(), |expected| expected.percent()),
            ours,
        ]
    }
}

/// The name of a kind of model to show.
#[must_use]
pub fn model_label(model: &str) -> &str {
    match model {
        "nac" => "NAC",
        "perceiver-io" => "Perceiver IO",
        "stem-only" => "stem only",
        other => other,
    }
}

/// `0.452` → `45.2 %`.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1} %", 100.0 * share)
    } else {
        "not a number".into()
    }
}

/// `1234567` → `1,234,567`.
pub(super) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `151.2` → `2 min 31 s`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".into();
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 10.0 => format!("{seconds:.1} s"),
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_standard_deviation_of_a_sample() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[0.5]).unwrap();
        assert_eq!((one.mean, one.sd, one.count), (0.5, None, 1));
        assert_eq!(one.percent(), "50.0 %");
        let three = Spread::of(&[0.40, 0.42, 0.44]).unwrap();
        assert!((three.sd.unwrap() - 0.02).abs() < 1e-12);
        assert_eq!(three.percent(), "42.0 ± 2.0 %");
        assert_eq!(Spread::of(&[f64::NAN]).unwrap().percent(), "not a number");
    }

    #[test]
    fn numbers_are_shown_in_short() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
        let texts = [3.21, 59.7, 151.2, 7300.0, f64::NAN].map(duration);
        assert_eq!(
            texts,
            ["3.2 s", "1 min 00 s", "2 min 31 s", "2 h 01 min", "unknown"]
        );
    }

    #[test]
    fn a_row_without_result_says_why() {
        let row = Row {
            experiment: "cifar10".into(),
            title: "CIFAR-10".into(),
            model: "nac".into(),
            profile: "quick".into(),
            seeds: vec![0, 1],
            parameters: None,
            wall_seconds: None,
            paper: "not published".into(),
            accuracy: None,
            expected: None,
            majority_accuracy: None,
            chance_accuracy: Some(0.1),
            status: Status::Skipped {
                reason: "no data".into(),
            },
        };
        let cells = row.cells();
        assert_eq!(cells[10], "skipped: no data");
        assert_eq!(
            (cells[3].as_str(), cells[4].as_str(), cells[6].as_str()),
            ("0, 1", "—", "10.0 %")
        );
        assert_eq!(
            (cells[8].as_str(), cells[9].as_str()),
            ("not published", "not measured")
        );
        let accuracy = Spread::of(&[0.5]);
        let failed = Row {
            accuracy,
            status: Status::Failed {
                reason: "NaN".into(),
            },
            ..row
        };
        assert_eq!(failed.cells()[10], "50.0 % (failed: NaN)");
    }
}
