//! A fixed number of points of a [`Shape`].

use super::shape::{Mesh, Shape};
use crate::random::Stream;

/// Draws `count` points: of a mesh evenly over its area; of a list each at most once in random order, and again from the
/// start where the list is too short. `None` if there is nothing to draw from: no point, no triangle, no area.
///
/// # Shapes
/// Gives `[count, 3]`.
#[must_use]
pub fn draw(shape: &Shape, count: usize, stream: &mut Stream) -> Option<Vec<[f32; 3]>> {
    match shape {
        Shape::Mesh(mesh) => by_area(mesh, count, stream),
        Shape::Points(points) => without_repeats(points, count, stream),
    }
}

/// A triangle with probability in proportion to its area, then a point of it: `(1−√u) a + √u (1−v) b + √u v c`.
fn by_area(mesh: &Mesh, count: usize, stream: &mut Stream) -> Option<Vec<[f32; 3]>> {
    let mut total = 0.0;
    let cumulative: Vec<f64> = (0..mesh.triangles.len())
        .map(|triangle| {
            total += mesh.area(triangle);
            total
        })
        .collect();
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    (0..count)
        .map(|_| {
            let at = stream.uniform() * total;
            let triangle = cumulative.partition_point(|&area| area <= at);
            let [a, b, c] = mesh.corners(triangle.min(cumulative.len() - 1))?;
            let (root, v) = (stream.uniform().sqrt(), stream.uniform());
            let weights = [1.0 - root, root * (1.0 - v), root * v];
            let mut point = [0.0; 3];
            for (axis, coordinate) in point.iter_mut().enumerate() {
                let corners = [a[axis], b[axis], c[axis]];
                let sum: f64 = corners.iter().zip(weights).map(|(x, w)| x * w).sum();
                *coordinate = sum as f32;
            }
            Some(point)
        })
        .collect()
}

/// A partial Fisher–Yates shuffle, repeated while points are missing.
fn without_repeats(
    points: &[[f32; 3]],
    count: usize,
    stream: &mut Stream,
) -> Option<Vec<[f32; 3]>> {
    if points.is_empty() {
        return None;
    }
    let mut left = points.to_vec();
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        let start = drawn.len() % left.len();
        let other = start + stream.below((left.len() - start) as u64) as usize;
        left.swap(start, other);
        drawn.push(left[start]);
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::new(0, "draw", &[])
    }

    #[test]
    fn points_of_a_mesh_follow_its_area() {
        // A triangle of area 1 at z = 0, one of area 3 at z = 1, and one without area at z = 2.
        let mut vertices = Vec::new();
        for (z, width) in [(0.0, 2.0), (1.0, 6.0), (2.0, 0.0)] {
            vertices.extend([[0.0, 0.0, z], [width, 0.0, z], [0.0, 1.0, z]]);
        }
        let mesh = Shape::Mesh(Mesh {
            vertices,
            triangles: vec![[0, 1, 2], [3, 4, 5], [6, 7, 8]],
        });
        let points = draw(&mesh, 40_000, &mut stream()).unwrap();
        let at = |z: f32| points.iter().filter(move |p| p[2] == z);
        assert_eq!(at(2.0).count(), 0);
        // Standard deviation of the share 0.25 is 0.0022.
        let share = at(0.0).count() as f64 / 40_000.0;
        assert!((share - 0.25).abs() < 0.01, "{share}");
        // The mean of a triangle's points is its centre, and all lie within.
        let mean =
            |axis: usize| at(1.0).map(|p| f64::from(p[axis])).sum::<f64>() / at(1.0).count() as f64;
        assert!((mean(0) - 2.0).abs() < 0.05 && (mean(1) - 1.0 / 3.0).abs() < 0.01);
        assert!(at(1.0).all(|p| p[0] >= 0.0 && p[1] >= 0.0 && p[0] / 6.0 + p[1] <= 1.0 + 1e-6));
    }

    #[test]
    fn listed_points_repeat_only_where_there_are_too_few() {
        let points: Vec<[f32; 3]> = (0..10).map(|i| [i as f32; 3]).collect();
        let sorted = |count| {
            let drawn = draw(&Shape::Points(points.clone()), count, &mut stream()).unwrap();
            let mut ids: Vec<usize> = drawn.iter().map(|p| p[0] as usize).collect();
            let first = ids.clone();
            ids.sort_unstable();
            (first, ids)
        };
        let (order, ids) = sorted(10);
        assert_eq!(ids, (0..10).collect::<Vec<_>>());
        assert_ne!(order, ids);
        let (_, mut few) = sorted(4);
        few.dedup();
        assert_eq!(few.len(), 4);
        let (_, many) = sorted(25);
        for id in 0..10 {
            assert!((2..=3).contains(&many.iter().filter(|&&i| i == id).count()));
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(draw(&Shape::Points(Vec::new()), 3, &mut stream()), None);
        let flat = Mesh {
            vertices: vec![[0.0; 3], [1.0; 3]],
            triangles: vec![[0, 1, 1]],
        };
        assert_eq!(draw(&Shape::Mesh(flat), 3, &mut stream()), None);
        assert_eq!(draw(&Shape::Mesh(Mesh::default()), 3, &mut stream()), None);
    }
}
