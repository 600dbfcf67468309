//! Damaged files of points and voxels are read or refused: no panic, finite points, bounded memory.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod damage;

use std::path::Path;

use damage::damage;
use nac_data::random::Stream;
use nac_data::source::modelnet::check_voxels;
use nac_data::source::points::{Array, Shape, draw, parse, parse_voxels, to_unit_sphere};
use proptest::prelude::*;
use proptest::sample::Index;

/// A file of each format, as people's programs write them.
fn sound(format: usize) -> (&'static str, Vec<u8>) {
    let npy = include_bytes!("fixtures/hdf5/fortran.npy");
    match format {
        0 => (
            "off",
            b"OFF5 3 0\n0 0 0\n1 0 0\n1.5 1e0 0\n0 1 -.5\n0 0 2\n4 0 1 2 3\n3 0 1 4 255 0 0\n3 1 2 4\n".to_vec(),
        ),
        1 => ("csv", b"x,y,z,nx\n1,2,3,0\n-4,5.5,6e-1,1\n7;8;9\n".to_vec()),
        2 => ("pts", b"3\n1 2 3 -10 0 0 0\n4 5 6 3 1 1 1\n# end\n7 8 9\n".to_vec()),
        3 => ("npy", npy.to_vec()),
        4 => (
            "ply",
            b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n".to_vec(),
        ),
        5 => {
            let mut bytes = b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nproperty list uchar uchar w\nend_header\n".to_vec();
            bytes.extend([0, 0, 128, 63].repeat(3));
            bytes.extend([2, 9, 9]);
            bytes.extend([0, 0, 0, 63].repeat(3));
            bytes.extend([0]);
            ("ply", bytes)
        }
        _ => {
            let mut bytes = b"#binvox 1\ndim 2 4 3\ntranslate 0 0 0\nscale 1\ndata\n".to_vec();
            bytes.extend([0, 10, 1, 4, 0, 10]);
            ("binvox", bytes)
        }
    }
}

fn check(extension: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let path = Path::new("damaged");
    if (extension == "binvox" || extension == "npy")
        && let Ok(cells) = parse_voxels(path, extension, bytes, [2, 3, 4])
    {
        prop_assert_eq!(cells.shape(), [2, 3, 4]);
    }
    if extension == "npy"
        && let Ok(array) = Array::parse(path, bytes)
    {
        prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
    }
    if let Ok(shape) = parse(path, extension, bytes) {
        match &shape {
            Shape::Mesh(mesh) => {
                // A triangle needs at least a corner: "0 ", or a byte.
                prop_assert!(mesh.triangles.len() <= bytes.len());
                let vertices = mesh.vertices.len();
                prop_assert!(
                    mesh.triangles
                        .iter()
                        .flatten()
                        .all(|&v| (v as usize) < vertices)
                );
            }
            Shape::Points(points) => prop_assert!(!points.is_empty()),
        }
        if let Some(mut points) = draw(&shape, 20, &mut Stream::new(0, "mutated", &[])) {
            to_unit_sphere(&mut points);
            prop_assert!(points.iter().flatten().all(|x| x.abs() <= 1.001));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn damaged_files_are_read_or_refused(
        format in 0..7usize,
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..8),
    ) {
        let (extension, bytes) = sound(format);
        check(extension, &damage(bytes, &changes))?;
    }

    #[test]
    fn any_numbers_and_words_are_read_or_refused(
        words in prop::collection::vec("(OFF|-?[0-9]{1,3}|[0-9.e-]{1,6}|nan|x|#|,|\n)[ \n]", 0..60),
        format in 0..3usize,
    ) {
        check(sound(format).0, words.concat().as_bytes())?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        format in 0..7usize,
    ) {
        check(sound(format).0, &bytes)?;
        let _ = check_voxels(Path::new("damaged"), &bytes);
    }
}

#[test]
fn sound_files_are_read() {
    for format in 0..7 {
        let (extension, bytes) = sound(format);
        if extension == "binvox" {
            assert!(parse_voxels(Path::new("a"), extension, &bytes, [2, 3, 4]).is_ok());
        } else {
            assert!(
                parse(Path::new("a"), extension, &bytes).is_ok(),
                "{extension}"
            );
        }
    }
}
