//! Surfaces of ten kinds of solids, with random proportions, as fine meshes.
//!
//! Nine kinds are a profile turned around an axis in a number of steps: in many steps it is round, in three or four the
//! solid has edges. The helix is a circle swept along a curve. Faces and caps are part of the surface.

use std::f64::consts::{PI, TAU};

use crate::random::Stream;
use crate::source::points::Mesh;

/// Names of the kinds, in the order of the labels.
pub(super) const NAMES: [&str; 10] = [
    "box",
    "capsule",
    "cone",
    "cylinder",
    "ellipsoid",
    "helix",
    "prism",
    "pyramid",
    "sphere",
    "torus",
];

/// Steps around the axis of what is round.
const ROUND: usize = 40;
/// Steps of a half circle in a profile.
const HALF: usize = 20;
/// Steps along the helix.
const ALONG: usize = 120;

/// A solid of a kind with random proportions, somewhere around 0 with a size about 1.
pub(super) fn solid(class: usize, stream: &mut Stream) -> Mesh {
    let mut between = |low: f64, high: f64| low + (high - low) * stream.uniform();
    match NAMES.get(class).copied().unwrap_or_default() {
        "box" => {
            let scale = [between(0.4, 1.0), between(0.4, 1.0), between(0.4, 1.0)];
            turn(&column(1.0), 4, scale)
        }
        "capsule" => turn(&rounded(between(0.5, 1.5)), ROUND, [1.0; 3]),
        "cone" => turn(&spike(between(1.0, 3.0)), ROUND, [1.0; 3]),
        "cylinder" => turn(&column(between(0.5, 2.0)), ROUND, [1.0; 3]),
        "ellipsoid" => {
            let second = between(0.5, 0.8);
            turn(
                &rounded(0.0),
                ROUND,
                [second, second * between(0.5, 1.0), 1.0],
            )
        }
        "helix" => helix(between(0.5, 1.0), between(1.5, 3.0), between(0.1, 0.2)),
        "prism" => turn(&column(between(0.5, 1.5)), 3, [1.0; 3]),
        "pyramid" => turn(&spike(between(1.0, 2.5)), 4, [between(0.7, 1.0), 1.0, 1.0]),
        "torus" => turn(&ring(between(0.15, 0.45)), ROUND, [1.0; 3]),
        _ => turn(&rounded(0.0), ROUND, [1.0; 3]),
    }
}

/// Profiles are distances from the axis and heights.
type Profile = Vec<[f64; 2]>;

/// From the axis out, up, and back to the axis.
fn column(half_height: f64) -> Profile {
    let h = half_height;
    vec![[0.0, -h], [1.0, -h], [1.0, h], [0.0, h]]
}

fn spike(height: f64) -> Profile {
    vec![[0.0, 0.0], [1.0, 0.0], [0.0, height]]
}

/// Half circles around two points of the axis, joined by a line.
fn rounded(half_height: f64) -> Profile {
    let at = |angle: f64, centre: f64| [angle.cos().max(0.0), angle.sin() + centre];
    let quarter = |from: f64, centre: f64| {
        (0..=HALF / 2).map(move |i| at(from + PI * i as f64 / HALF as f64, centre))
    };
    quarter(-PI / 2.0, -half_height)
        .chain(quarter(0.0, half_height))
        .collect()
}

/// A circle around a point at distance 1 from the axis.
fn ring(radius: f64) -> Profile {
    let angle = |i: usize| TAU * i as f64 / HALF as f64;
    (0..=HALF)
        .map(|i| [1.0 + radius * angle(i).cos(), radius * angle(i).sin()])
        .collect()
}

/// Turns a profile around the third axis, then scales the axes.
fn turn(profile: &Profile, steps: usize, scale: [f64; 3]) -> Mesh {
    // With four steps, corners are on the diagonals, so that the scales are those of the faces.
    let place = |row: usize, step: usize| {
        let [radius, height] = profile.get(row).copied().unwrap_or_default();
        let (sin, cos) = (TAU * (step as f64 + 0.5) / steps as f64).sin_cos();
        let point = [radius * cos, radius * sin, height];
        [
            point[0] * scale[0],
            point[1] * scale[1],
            point[2] * scale[2],
        ]
    };
    grid(profile.len(), steps + 1, place)
}

/// A tube around `turns` turns of a helix of radius 1 that rises by `pitch` a turn.
fn helix(pitch: f64, turns: f64, tube: f64) -> Mesh {
    let place = |row: usize, step: usize| {
        let angle = TAU * turns * row as f64 / (ALONG - 1) as f64;
        let (sin, cos) = angle.sin_cos();
        let rise = pitch / TAU;
        let length = 1.0f64.hypot(rise);
        // The circle is in the plane of the outward direction and the binormal of the curve.
        let binormal = [rise * sin / length, -rise * cos / length, 1.0 / length];
        let (up, out) = (TAU * step as f64 / HALF as f64).sin_cos();
        let (up, out) = (tube * up, tube * out);
        [
            cos + out * cos + up * binormal[0],
            sin + out * sin + up * binormal[1],
            rise * angle + up * binormal[2],
        ]
    };
    grid(ALONG, HALF + 1, place)
}

/// Two triangles for each cell of a grid of points on a surface.
fn grid(rows: usize, columns: usize, place: impl Fn(usize, usize) -> [f64; 3]) -> Mesh {
    let mut mesh = Mesh::default();
    for row in 0..rows {
        mesh.vertices
            .extend((0..columns).map(|column| place(row, column).map(|x| x as f32)));
    }
    let vertex = |row: usize, column: usize| (row * columns + column) as u32;
    for row in 1..rows {
        for column in 1..columns {
            let corners = [
                vertex(row - 1, column - 1),
                vertex(row - 1, column),
                vertex(row, column),
                vertex(row, column - 1),
            ];
            let [a, b, c, d] = corners;
            mesh.triangles.extend([[a, b, c], [a, c, d]]);
        }
    }
    mesh
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(mesh: &Mesh) -> f64 {
        (0..mesh.triangles.len())
            .map(|triangle| mesh.area(triangle))
            .sum()
    }

    /// Areas by the formulas of the round solids; the meshes are a little smaller.
    #[test]
    fn areas_are_those_of_the_solids() {
        let root = |x: f64| x.sqrt();
        for (mesh, expected) in [
            (turn(&rounded(0.0), ROUND, [1.0; 3]), 4.0 * PI),
            (turn(&rounded(1.5), ROUND, [1.0; 3]), 4.0 * PI + TAU * 3.0),
            (turn(&column(0.7), ROUND, [1.0; 3]), TAU + TAU * 1.4),
            (turn(&spike(2.0), ROUND, [1.0; 3]), PI + PI * root(5.0)),
            (turn(&ring(0.3), ROUND, [1.0; 3]), TAU * TAU * 0.3),
            (
                helix(0.5, 2.0, 0.1),
                TAU * 0.1 * TAU * 2.0 * 1.0f64.hypot(0.5 / TAU),
            ),
        ] {
            let found = area(&mesh);
            assert!(
                found < expected && found > 0.98 * expected,
                "{found} {expected}"
            );
        }
        // Exactly: a box of sides √2, √2, 2, and a triangular prism of sides √3 and height 1.
        let found = area(&turn(&column(1.0), 4, [1.0; 3]));
        assert!((found - (4.0 + 8.0 * root(2.0))).abs() < 1e-5, "{found}");
        let found = area(&turn(&column(0.5), 3, [1.0; 3]));
        assert!(
            (found - (2.0 * 0.75 * root(3.0) + 3.0 * root(3.0))).abs() < 1e-5,
            "{found}"
        );
    }

    #[test]
    fn every_kind_is_a_solid_of_its_own_proportions() {
        for (class, name) in NAMES.iter().enumerate() {
            let mesh = solid(class, &mut Stream::new(0, "solids", &[class as u64]));
            let other = solid(class, &mut Stream::new(1, "solids", &[class as u64]));
            assert!(area(&mesh) > 0.5);
            assert!(mesh.vertices.iter().flatten().all(|x| x.is_finite()));
            // Only spheres have no proportions.
            assert_eq!(mesh == other, *name == "sphere", "{name}");
        }
    }
}
