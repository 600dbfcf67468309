//! Points into the unit sphere, as PointNet (Qi et al. 2017) does to the points of ModelNet40.

/// Moves the centroid to 0 and divides by the greatest distance from it, so that all points lie within the unit sphere
/// and one on it. Points that are all the same become 0.
pub fn to_unit_sphere(points: &mut [[f32; 3]]) {
    let count = points.len().max(1) as f64;
    let mut centre = [0.0f64; 3];
    for point in points.iter() {
        for (sum, &x) in centre.iter_mut().zip(point) {
            *sum += f64::from(x) / count;
        }
    }
    let from_centre = |point: &[f32; 3]| {
        let [x, y, z] = *point;
        [x, y, z]
            .iter()
            .zip(centre)
            .map(|(&x, c)| f64::from(x) - c)
            .map(|d| d * d)
            .sum::<f64>()
            .sqrt()
    };
    let greatest = points.iter().map(from_centre).fold(0.0, f64::max);
    // Differences below the precision of the coordinates are rounding errors of the centroid.
    let size = centre.iter().fold(0.0f64, |most, c| most.max(c.abs()));
    let same = greatest <= size * f64::from(f32::EPSILON) * 1e-3;
    for point in points {
        for (x, c) in point.iter_mut().zip(centre) {
            *x = if same {
                0.0
            } else {
                ((f64::from(*x) - c) / greatest) as f32
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_zero_and_the_farthest_point_is_on_the_sphere() {
        let mut points = [
            [1.0, 0.0, 0.0],
            [3.0, 0.0, 0.0],
            [2.0, 3.0, 0.0],
            [2.0, 1.0, 8.0],
        ];
        to_unit_sphere(&mut points);
        let norm = |p: &[f32; 3]| p.iter().map(|x| x * x).sum::<f32>().sqrt();
        let greatest = points.iter().map(norm).fold(0.0, f32::max);
        assert!((greatest - 1.0).abs() < 1e-6, "{greatest}");
        for axis in 0..3 {
            assert!(points.iter().map(|p| p[axis]).sum::<f32>().abs() < 1e-6);
        }
        // Twice is once.
        let mut again = points;
        to_unit_sphere(&mut again);
        assert!(
            again
                .iter()
                .flatten()
                .zip(points.iter().flatten())
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
    }

    #[test]
    fn equal_points_and_extreme_ones_stay_finite() {
        let mut same = [[0.1, 7.3e8, -5.0]; 7];
        to_unit_sphere(&mut same);
        assert_eq!(same, [[0.0; 3]; 7]);
        let mut extreme = [[f32::MAX, 0.0, 0.0], [f32::MIN, 0.0, 1e-30]];
        to_unit_sphere(&mut extreme);
        assert_eq!([extreme[0][0], extreme[1][0]], [1.0, -1.0]);
        to_unit_sphere(&mut []);
    }
}
