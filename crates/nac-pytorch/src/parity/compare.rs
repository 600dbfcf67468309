//! Comparison of one tensor with the recorded one.
//!
//! Infinite entries must be the same ones, with the same sign; of the finite ones the largest absolute difference counts.

use tch::{Kind, Tensor};

use super::magnitude::{largest_finite, plain};
use super::tolerance::Allowed;

/// Whether a tensor is a value or a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// An output or a loss, `out.*`.
    Forward,
    /// A gradient, `grad.*`.
    Gradient,
}

/// How far one tensor is from the recorded one.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Full name in the golden.
    pub tensor: String,
    /// Value or gradient.
    pub direction: Direction,
    /// Largest absolute difference; infinite if shape or infinite entries differ.
    pub error: f64,
    /// Largest absolute difference that passes.
    pub allowed: f64,
    /// Largest finite magnitude of the recorded tensor, to which relative errors refer.
    pub largest: f64,
    /// What differs besides the size of an error, such as the shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Comparison {
    /// Whether the error is allowed.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.problem.is_none() && self.error <= self.allowed
    }

    /// Error as a share of what is allowed: at most 1 passes.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            self.error / self.allowed
        }
    }

    /// Error relative to the largest recorded value.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        relative(self.error, self.largest)
    }

    /// Allowed error relative to the largest recorded value.
    #[must_use]
    pub fn relative_allowed(&self) -> f64 {
        relative(self.allowed, self.largest)
    }

    /// A comparison that failed before any number was compared.
    #[must_use]
    pub fn failed(tensor: &str, problem: String) -> Self {
        Self {
            tensor: tensor.to_owned(),
            direction: direction(tensor),
            error: f64::INFINITY,
            allowed: 0.0,
            largest: 0.0,
            problem: Some(problem),
        }
    }
}

/// Share of the largest value; a tensor of zeros has no scale, its error stays as it is.
fn relative(error: f64, largest: f64) -> f64 {
    if largest > 0.0 {
        error / largest
    } else {
        error
    }
}

fn direction(tensor: &str) -> Direction {
    if tensor.starts_with("grad.") {
        Direction::Gradient
    } else {
        Direction::Forward
    }
}

/// Compares `ours` with `recorded`; `None` for ours is a missing gradient, which equals one of zeros.
///
/// # Errors
/// libtorch fails.
pub fn compare(
    name: &str,
    ours: &Tensor,
    recorded: &Tensor,
    allowed: Allowed,
) -> Result<Comparison, tch::TchError> {
    if ours.size() != recorded.size() {
        let problem = format!("shape {:?}, recorded {:?}", ours.size(), recorded.size());
        return Ok(Comparison::failed(name, problem));
    }
    let (ours, recorded) = (plain(ours)?, plain(recorded)?);
    let mut found = Comparison {
        tensor: name.to_owned(),
        direction: direction(name),
        error: 0.0,
        allowed: allowed.error,
        largest: largest_finite(&recorded)?,
        problem: None,
    };
    if allowed.zero {
        // Zero by algebra: the recorded values are noise themselves.
        found.error = largest_finite(&ours)?;
        found.largest = allowed.scale;
    }
    let finite = recorded.f_isfinite()?;
    let same_place = ours.f_isfinite()?.f_eq_tensor(&finite)?;
    let same = same_place.f_logical_and(&finite.f_logical_or(&ours.f_eq_tensor(&recorded)?)?)?;
    let other = same
        .f_logical_not()?
        .f_sum(Kind::Int64)?
        .f_int64_value(&[])?;
    if other > 0 {
        found.error = f64::INFINITY;
        found.problem = Some(format!("{other} entries differ in being infinite or not"));
    } else if !allowed.zero {
        let difference = ours.f_sub(&recorded)?.f_masked_select(&finite)?;
        if difference.numel() > 0 {
            found.error = difference.f_abs()?.f_max()?.f_double_value(&[])?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(error: f64) -> Allowed {
        Allowed {
            error,
            zero: false,
            scale: 1.0,
        }
    }

    #[test]
    fn the_largest_difference_counts() {
        let (a, b) = (
            Tensor::from_slice(&[1.0_f32, 4.0]),
            Tensor::from_slice(&[1.5_f32, 4.25]),
        );
        let found = compare("out.y", &a, &b, allowed(0.5)).unwrap();
        assert_eq!(
            (found.error, found.largest, found.passes()),
            (0.5, 4.25, true)
        );
        assert_eq!(found.share(), 1.0);
        assert!(!compare("out.y", &a, &b, allowed(0.49)).unwrap().passes());
    }

    #[test]
    fn infinite_entries_must_be_the_same() {
        let infinite = f32::NEG_INFINITY;
        let recorded = Tensor::from_slice(&[1.0, infinite]);
        let check = |values: [f32; 2]| {
            compare(
                "out.y",
                &Tensor::from_slice(&values),
                &recorded,
                allowed(0.5),
            )
            .unwrap()
        };
        assert!(check([1.25, infinite]).passes());
        for values in [
            [1.0, f32::INFINITY],
            [1.0, 2.0],
            [infinite, infinite],
            [f32::NAN, infinite],
        ] {
            assert!(!check(values).passes(), "{values:?}");
        }
    }

    #[test]
    fn zero_by_algebra_is_compared_with_zero() {
        let (ours, recorded) = (
            Tensor::from_slice(&[1e-7_f32]),
            Tensor::from_slice(&[-3e-7_f32]),
        );
        let zero = Allowed {
            error: 2e-7,
            zero: true,
            scale: 1.0,
        };
        let found = compare("grad.param.b", &ours, &recorded, zero).unwrap();
        assert!(found.passes() && found.error < 1.1e-7, "{found:?}");
        let shape = compare("grad.x", &ours, &Tensor::from_slice(&[0.0_f32, 0.0]), zero).unwrap();
        assert!(shape.problem.unwrap().contains("shape [1], recorded [2]"));
    }
}
