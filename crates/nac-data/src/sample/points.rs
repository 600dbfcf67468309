//! Meshes of three solids.

use std::f64::consts::{PI, TAU};
use std::path::Path;

use super::folders::folders;
use crate::DataError;
use crate::random::Stream;

const CLASSES: [&str; 3] = ["box", "pyramid", "sphere"];

type Mesh = (Vec<[f64; 3]>, Vec<Vec<usize>>);

pub(super) fn write(folder: &Path) -> Result<usize, DataError> {
    folders(folder, &CLASSES, "off", |class, number| {
        let mut stream = Stream::new(0, "sample points", &[class as u64, number]);
        let (mut vertices, faces) = match class {
            0 => cuboid(),
            1 => pyramid(),
            _ => sphere(8, 12),
        };
        let scale = [0; 3].map(|_: u8| 0.7 + 0.6 * stream.uniform());
        let [a, b] = [0; 2].map(|_: u8| TAU * stream.uniform());
        for vertex in &mut vertices {
            for (coordinate, factor) in vertex.iter_mut().zip(scale) {
                *coordinate *= factor;
            }
            let [x, y, z] = *vertex;
            let (x, y) = (x * a.cos() - y * a.sin(), x * a.sin() + y * a.cos());
            let (y, z) = (y * b.cos() - z * b.sin(), y * b.sin() + z * b.cos());
            *vertex = [x, y, z];
        }
        Ok(off(&vertices, &faces).into_bytes())
    })
}

fn off(vertices: &[[f64; 3]], faces: &[Vec<usize>]) -> String {
    let mut text = format!("OFF\n{} {} 0\n", vertices.len(), faces.len());
    for [x, y, z] in vertices {
        text += &format!("{x:.5} {y:.5} {z:.5}\n");
    }
    for face in faces {
        let corners: String = face.iter().map(|corner| format!(" {corner}")).collect();
        text += &format!("{}{corners}\n", face.len());
    }
    text
}

/// Corners are numbered by their coordinates' bits.
fn cuboid() -> Mesh {
    let side = |bit: bool| if bit { 1.0 } else { -1.0 };
    let vertex = |k: u8| [k & 1 != 0, k & 2 != 0, k & 4 != 0].map(side);
    let faces = [
        [0, 1, 3, 2],
        [4, 6, 7, 5],
        [0, 4, 5, 1],
        [2, 3, 7, 6],
        [0, 2, 6, 4],
        [1, 5, 7, 3],
    ];
    let faces = faces.iter().map(|face| face.to_vec()).collect();
    ((0..8).map(vertex).collect(), faces)
}

fn pyramid() -> Mesh {
    let base = [
        [-1.0, -1.0, -0.5],
        [1.0, -1.0, -0.5],
        [1.0, 1.0, -0.5],
        [-1.0, 1.0, -0.5],
    ];
    let mut vertices = base.to_vec();
    vertices.push([0.0, 0.0, 1.2]);
    let mut faces = vec![vec![3, 2, 1, 0]];
    faces.extend((0..4).map(|k| vec![k, (k + 1) % 4, 4]));
    (vertices, faces)
}

/// `rings` circles of latitude between the poles, each of `segments` corners.
fn sphere(rings: usize, segments: usize) -> Mesh {
    let mut vertices = Vec::new();
    for ring in 0..=rings {
        let polar = PI * ring as f64 / rings as f64;
        for segment in 0..segments {
            let around = TAU * segment as f64 / segments as f64;
            let [x, y] = [around.cos(), around.sin()].map(|c| c * polar.sin());
            vertices.push([x, y, polar.cos()]);
        }
    }
    let mut faces = Vec::new();
    for ring in 0..rings {
        for segment in 0..segments {
            let next = (segment + 1) % segments;
            let [upper, lower] = [ring * segments, (ring + 1) * segments];
            faces.push(vec![
                upper + segment,
                lower + segment,
                lower + next,
                upper + next,
            ]);
        }
    }
    (vertices, faces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertices_of_the_solids_are_where_they_should_be() {
        let (vertices, faces) = sphere(8, 12);
        assert!(
            vertices
                .iter()
                .all(|v| (v.iter().map(|c| c * c).sum::<f64>() - 1.0).abs() < 1e-9)
        );
        for (vertices, faces) in [(vertices, faces), cuboid(), pyramid()] {
            assert!(
                faces
                    .iter()
                    .flatten()
                    .all(|&corner| corner < vertices.len())
            );
        }
        let text = off(&[[0.0, 1.0, -0.5]], &[vec![0, 0, 0]]);
        assert_eq!(text, "OFF\n1 1 0\n0.00000 1.00000 -0.50000\n3 0 0 0\n");
    }
}
