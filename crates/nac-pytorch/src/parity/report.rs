//! What came out: one report per golden, and all of them together.

use serde::Serialize;

use super::compare::{Comparison, Direction};

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every recorded value and gradient was compared, and is near enough.
    Pass,
    /// Something differs by more than is allowed.
    Fail,
    /// Our layers lack an option that the golden's configuration uses.
    Unsupported,
    /// The golden is unusable, or running it failed.
    Error,
}

impl Status {
    /// Whether the whole comparison fails by this case.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Error)
    }

    /// The word in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Unsupported => "unsupported",
            Self::Error => "ERROR",
        }
    }
}

/// Result of one golden.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Name of the golden.
    pub case: String,
    /// How it ended.
    pub status: Status,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
    /// Recorded gradients that were not compared, because the engine has none.
    #[serde(skip_serializing_if = "is_zero")]
    pub gradients_left_out: usize,
    /// Fused blocks that ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub fused_blocks: usize,
    /// Every tensor that was compared.
    pub tensors: Vec<Comparison>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl CaseReport {
    /// A case that could not be run.
    #[must_use]
    pub fn broken(case: &str, reason: String) -> Self {
        Self {
            case: case.to_owned(),
            status: Status::Error,
            reason: Some(reason),
            seconds: 0.0,
            gradients_left_out: 0,
            fused_blocks: 0,
            tensors: Vec::new(),
        }
    }

    /// The comparison with the largest share of its allowed error, among values or gradients.
    #[must_use]
    pub fn worst(&self, direction: Direction) -> Option<&Comparison> {
        let of_direction = self.tensors.iter().filter(|t| t.direction == direction);
        of_direction.max_by(|a, b| a.share().total_cmp(&b.share()))
    }

    /// The comparison with the largest share of its allowed error.
    #[must_use]
    pub fn worst_of_all(&self) -> Option<&Comparison> {
        self.tensors
            .iter()
            .max_by(|a, b| a.share().total_cmp(&b.share()))
    }
}

/// Result of a folder.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Engine the layers ran on: `torch`, `fused` or `core`.
    pub engine: &'static str,
    /// Device the layers ran on.
    pub device: String,
    /// Kind of numbers.
    pub kind: String,
    /// Seconds in all.
    pub seconds: f64,
    /// One report per golden, in the order of names.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Number of cases that ended so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.cases.iter().filter(|c| c.status == status).count()
    }

    /// Whether the comparison fails; with `strict`, unsupported cases count.
    #[must_use]
    pub fn fails(&self, strict: bool) -> bool {
        let unsupported = strict && self.count(Status::Unsupported) > 0;
        unsupported || self.cases.iter().any(|case| case.status.is_failure())
    }

    /// The totals in one line, and the error that came nearest to its limit.
    #[must_use]
    pub fn totals(&self) -> String {
        let [pass, fail, unsupported, error] = [
            Status::Pass,
            Status::Fail,
            Status::Unsupported,
            Status::Error,
        ]
        .map(|s| self.count(s));
        let mut text = format!(
            "{} cases: {pass} pass, {fail} fail, {unsupported} unsupported, {error} error; {}, {}, {}, {:.1} s",
            self.cases.len(),
            self.engine,
            self.kind.to_lowercase(),
            self.device.to_lowercase(),
            self.seconds,
        );
        let left_out: usize = self.cases.iter().map(|c| c.gradients_left_out).sum();
        if left_out > 0 {
            text.push_str(&format!(
                "\nforward only: {left_out} recorded gradients were not compared"
            ));
        }
        let fused = self.cases.iter().filter(|case| case.fused_blocks > 0);
        let blocks: usize = fused.clone().map(|case| case.fused_blocks).sum();
        if blocks > 0 {
            let cases = fused.count();
            text.push_str(&format!("\n{blocks} fused blocks ran in {cases} cases"));
        }
        let worst = self
            .cases
            .iter()
            .filter_map(|case| Some((case, case.worst_of_all()?)));
        if let Some((case, worst)) = worst.max_by(|a, b| a.1.share().total_cmp(&b.1.share())) {
            text.push_str(&format!(
                "\nnearest to its limit: {} {}, relative error {:.1e} of {:.1e} allowed ({:.0} %)",
                case.case,
                worst.tensor,
                worst.relative_error(),
                worst.relative_allowed(),
                100.0 * worst.share()
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, status: Status, error: f64) -> CaseReport {
        let comparison = |tensor: &str, direction, error| Comparison {
            tensor: tensor.into(),
            direction,
            error,
            allowed: 2.0,
            largest: 10.0,
            problem: None,
        };
        CaseReport {
            case: name.into(),
            status,
            reason: None,
            seconds: 0.5,
            gradients_left_out: 0,
            fused_blocks: 0,
            tensors: vec![
                comparison("out.y", Direction::Forward, error),
                comparison("grad.in.x", Direction::Gradient, 0.25),
            ],
        }
    }

    #[test]
    fn totals_and_exit() {
        let mut report = Report {
            engine: "torch",
            device: "Cpu".into(),
            kind: "Float".into(),
            seconds: 1.0,
            cases: vec![
                case("a", Status::Pass, 0.5),
                case("b", Status::Unsupported, 1.0),
            ],
        };
        assert_eq!((report.fails(false), report.fails(true)), (false, true));
        let text = report.totals();
        assert!(
            text.contains("2 cases: 1 pass, 0 fail, 1 unsupported, 0 error; torch, float, cpu"),
            "{text}"
        );
        assert!(!text.contains("forward only"), "{text}");
        report.cases[0].gradients_left_out = 7;
        let note = "forward only: 7 recorded gradients were not compared";
        assert!(report.totals().contains(note));
        assert!(
            text.contains("b out.y, relative error 1.0e-1 of 2.0e-1 allowed (50 %)"),
            "{text}"
        );
        report
            .cases
            .push(CaseReport::broken("c", "truncated".into()));
        assert!(report.fails(false));
        assert_eq!(
            report.cases[0].worst(Direction::Gradient).unwrap().error,
            0.25
        );
    }
}
