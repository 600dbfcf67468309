//! Random changes of point clouds: [`Rotate`], [`Jitter`], [`Scale`], [`Dropout`].

use super::{Draws, Transform};
use crate::buffer::ValuesMut;
use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example, InputKind};

/// What a cloud is rotated about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The first axis.
    X,
    /// The second axis, "up" in ModelNet40's HDF5 files.
    Y,
    /// The third axis, "up" in ModelNet's meshes.
    Z,
    /// Any: rotations are uniform over SO(3).
    Any,
}

/// Rotates the first three coordinates by a random angle.
#[derive(Clone, Copy, Debug)]
pub struct Rotate(pub Axis);

/// Adds normal noise to each coordinate, cut to a greatest distance.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    sigma: f64,
    clip: f64,
}

/// Multiplies a cloud by one random factor.
#[derive(Clone, Copy, Debug)]
pub struct Scale([f64; 2]);

/// Drops a random share of the points: each becomes a copy of the first point that is kept, so that the number stays
/// (PointNet++'s random input dropout). The share itself is drawn for each cloud.
#[derive(Clone, Copy, Debug)]
pub struct Dropout([f64; 2]);

impl Jitter {
    /// Standard deviation and greatest distance.
    ///
    /// # Errors
    /// [`DataError::Config`] for a number that is negative or not finite.
    pub fn new(sigma: f64, clip: f64) -> Result<Self, DataError> {
        let fine = |x: f64| x.is_finite() && x >= 0.0;
        if fine(sigma) && fine(clip) {
            return Ok(Self { sigma, clip });
        }
        Err(wrong(format!(
            "jitter: {sigma} and {clip} must be at least 0"
        )))
    }
}

impl Scale {
    /// Least and greatest factor.
    ///
    /// # Errors
    /// [`DataError::Config`] unless `0 < least <= most`.
    pub fn new(least: f64, most: f64) -> Result<Self, DataError> {
        if 0.0 < least && least <= most && most.is_finite() {
            return Ok(Self([least, most]));
        }
        Err(wrong(format!(
            "scale: {least} to {most} must be above 0 and in order"
        )))
    }
}

impl Dropout {
    /// Least and greatest share that is dropped.
    ///
    /// # Errors
    /// [`DataError::Config`] unless `0 <= least <= most < 1`.
    pub fn new(least: f64, most: f64) -> Result<Self, DataError> {
        if 0.0 <= least && least <= most && most < 1.0 {
            return Ok(Self([least, most]));
        }
        Err(wrong(format!(
            "dropout: {least} to {most} must be in order, at least 0 and below 1"
        )))
    }
}

fn wrong(reason: String) -> DataError {
    DataError::Config {
        field: "data.augment".into(),
        reason,
    }
}

fn check(transform: &str, info: &DatasetInfo) -> Result<(), DataError> {
    let clouds = |kind: &InputKind| matches!(kind, InputKind::Points { dims, .. } if *dims >= 3);
    if info.inputs.iter().any(|(_, kind)| clouds(kind)) {
        return Ok(());
    }
    let name = &info.name;
    Err(wrong(format!(
        "`{transform}` needs points in space; data set `{name}` has none"
    )))
}

/// Calls `change` on the values of every `f32 [points, dims]` input with at least three dimensions.
fn for_each(
    transform: &str,
    example: &mut Example,
    mut change: impl FnMut(&mut [f32], usize),
) -> Result<(), DataError> {
    let mut found = String::new();
    let mut changed = false;
    for (name, buffer) in &mut example.inputs {
        found = format!("`{name}` as {}", buffer.describe());
        let &[_, dims] = buffer.shape() else {
            continue;
        };
        if dims < 3 {
            continue;
        }
        if let ValuesMut::F32(values) = buffer.values_mut() {
            change(values, dims);
            changed = true;
        }
    }
    if changed {
        return Ok(());
    }
    Err(DataError::Shape {
        operation: format!("transform `{transform}`"),
        expected: "an input f32 [points, 3 or more]".into(),
        found,
    })
}

/// Multiplies the first three coordinates of each point by a matrix, row by row.
///
/// # Shapes
/// - values: `[points, dims]`
fn multiply(values: &mut [f32], dims: usize, matrix: &[[f64; 3]; 3]) {
    for point in values.chunks_exact_mut(dims.max(3)) {
        if let [x, y, z, ..] = point {
            let old = [*x, *y, *z].map(f64::from);
            let row = |row: &[f64; 3]| row.iter().zip(old).map(|(m, c)| m * c).sum::<f64>() as f32;
            [*x, *y, *z] = [row(&matrix[0]), row(&matrix[1]), row(&matrix[2])];
        }
    }
}

fn rotation(axis: Axis, stream: &mut Stream) -> [[f64; 3]; 3] {
    let (sin, cos) = stream.between(0.0, std::f64::consts::TAU).sin_cos();
    match axis {
        Axis::X => [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]],
        Axis::Y => [[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]],
        Axis::Z => [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]],
        Axis::Any => {
            // A normalized normal vector is uniform on the unit quaternions.
            let mut q = [0.0; 4];
            let mut norm = 0.0_f64;
            while norm < 1e-6 {
                q = [(); 4].map(|()| stream.normal());
                norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            }
            let [w, x, y, z] = q.map(|c| c / norm);
            [
                [
                    1.0 - 2.0 * (y * y + z * z),
                    2.0 * (x * y - w * z),
                    2.0 * (x * z + w * y),
                ],
                [
                    2.0 * (x * y + w * z),
                    1.0 - 2.0 * (x * x + z * z),
                    2.0 * (y * z - w * x),
                ],
                [
                    2.0 * (x * z - w * y),
                    2.0 * (y * z + w * x),
                    1.0 - 2.0 * (x * x + y * y),
                ],
            ]
        }
    }
}

impl Transform for Rotate {
    fn name(&self) -> &str {
        "rotate"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let matrix = rotation(self.0, &mut draws.stream(self.name()));
        for_each(self.name(), example, |values, dims| {
            multiply(values, dims, &matrix)
        })
    }
}

impl Transform for Jitter {
    fn name(&self) -> &str {
        "jitter"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        for_each(self.name(), example, |values, dims| {
            for point in values.chunks_exact_mut(dims) {
                for value in point.iter_mut().take(3) {
                    *value += (self.sigma * stream.normal()).clamp(-self.clip, self.clip) as f32;
                }
            }
        })
    }
}

impl Transform for Scale {
    fn name(&self) -> &str {
        "scale"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let factor = draws.stream(self.name()).between(self.0[0], self.0[1]) as f32;
        for_each(self.name(), example, |values, dims| {
            for point in values.chunks_exact_mut(dims) {
                point.iter_mut().take(3).for_each(|value| *value *= factor);
            }
        })
    }
}

impl Transform for Dropout {
    fn name(&self) -> &str {
        "dropout"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        let share = stream.between(self.0[0], self.0[1]);
        for_each(self.name(), example, |values, dims| {
            let dropped: Vec<bool> = values
                .chunks_exact(dims)
                .map(|_| stream.uniform() < share)
                .collect();
            let kept = dropped.iter().position(|&dropped| !dropped).unwrap_or(0);
            let Some(first) = values
                .get(kept * dims..(kept + 1) * dims)
                .map(<[f32]>::to_vec)
            else {
                return;
            };
            for (point, dropped) in values.chunks_exact_mut(dims).zip(dropped) {
                if dropped {
                    point.copy_from_slice(&first);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Target, Values};

    const CLOUD: [f32; 12] = [0.1, 0.2, 0.3, -0.5, 0.4, 0.0, 0.7, -0.1, 0.2, 0.0, 0.0, 1.0];

    fn changed(transform: &dyn Transform, index: usize, cloud: &[f32]) -> Vec<f32> {
        let buffer = Buffer::new(vec![cloud.len() / 3, 3], Values::F32(cloud.to_vec())).unwrap();
        let mut example = Example::new("points", buffer, Target::Class(0));
        let draws = Draws {
            seed: 0,
            epoch: 0,
            index,
            repeat: 0,
        };
        transform.apply(&mut example, &draws).unwrap();
        let Values::F32(values) = example.inputs[0].1.values() else {
            panic!("type changed")
        };
        values.clone()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter()
            .zip(b)
            .map(|(x, y)| (x - y).powi(2))
            .sum::<f32>()
            .sqrt()
    }

    #[test]
    fn rotations_keep_distances_and_their_axis() {
        for (axis, fixed) in [
            (Axis::X, Some(0)),
            (Axis::Y, Some(1)),
            (Axis::Z, Some(2)),
            (Axis::Any, None),
        ] {
            let mut mean = [0.0; 3];
            for index in 0..600 {
                let found = changed(&Rotate(axis), index, &CLOUD);
                for (a, b) in [(0, 1), (1, 2), (0, 3)] {
                    let before = distance(&CLOUD[a * 3..][..3], &CLOUD[b * 3..][..3]);
                    let after = distance(&found[a * 3..][..3], &found[b * 3..][..3]);
                    assert!((before - after).abs() < 1e-5);
                }
                // Handedness stays: the determinant of three points does.
                let det = |c: &[f32]| {
                    c[0] * (c[4] * c[8] - c[5] * c[7]) - c[1] * (c[3] * c[8] - c[5] * c[6])
                        + c[2] * (c[3] * c[7] - c[4] * c[6])
                };
                assert!((det(&CLOUD) - det(&found)).abs() < 1e-5);
                if let Some(fixed) = fixed {
                    assert!((CLOUD[fixed] - found[fixed]).abs() < 1e-6);
                }
                (0..3).for_each(|c| mean[c] += found[6 + c] / 600.0);
            }
            for (coordinate, mean) in mean.iter().enumerate() {
                let wanted = if fixed == Some(coordinate) {
                    CLOUD[6 + coordinate]
                } else {
                    0.0
                };
                assert!((mean - wanted).abs() < 0.07, "{axis:?}: {mean}");
            }
        }
    }

    #[test]
    fn jitter_and_scale_have_their_sizes() {
        let jitter = Jitter::new(0.01, 0.02).unwrap();
        let found = changed(&jitter, 1, &[0.0; 9000]);
        let spread = (found.iter().map(|x| x * x).sum::<f32>() / 9000.0).sqrt();
        assert!((0.0085..0.0105).contains(&spread), "{spread}");
        assert!(found.iter().all(|x| x.abs() <= 0.02));
        let scale = Scale::new(0.8, 1.25).unwrap();
        let factors: Vec<f32> = (0..500)
            .map(|i| changed(&scale, i, &[1.0, 2.0, 4.0])[2] / 4.0)
            .collect();
        assert!(factors.iter().all(|f| (0.8..1.25).contains(f)));
        assert!((factors.iter().sum::<f32>() / 500.0 - 1.025).abs() < 0.03);
    }

    #[test]
    fn dropped_points_are_copies_of_the_first_kept() {
        let cloud: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        let found = changed(&Dropout::new(0.5, 0.5).unwrap(), 3, &cloud);
        let copies: Vec<usize> = (0..1000)
            .filter(|&i| found[i * 3] != cloud[i * 3])
            .collect();
        assert!((430..570).contains(&copies.len()), "{}", copies.len());
        let kept = (0..1000).find(|i| !copies.contains(i)).unwrap();
        // The first kept point may itself follow dropped ones.
        assert!(
            copies
                .iter()
                .all(|&i| found[i * 3..][..3] == cloud[kept * 3..][..3])
        );
        let all = changed(&Dropout::new(0.0, 0.0).unwrap(), 3, &cloud);
        assert_eq!(all, cloud);
    }

    #[test]
    fn impossible_settings_are_errors() {
        assert!(Jitter::new(-1.0, 0.1).is_err() && Jitter::new(0.1, f64::NAN).is_err());
        assert!(Scale::new(0.0, 1.0).is_err() && Scale::new(2.0, 1.0).is_err());
        assert!(Dropout::new(0.5, 1.0).is_err() && Dropout::new(-0.1, 0.5).is_err());
    }
}
