//! Meshes and points in the Polygon File Format, and points drawn from them.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::random::Stream;
use nac_data::source::points::{Shape, draw, parse, to_unit_sphere};

fuzz_target!(|bytes: &[u8]| {
    let Ok(shape) = parse(Path::new("a.ply"), "ply", bytes) else {
        return;
    };
    if let Shape::Mesh(mesh) = &shape {
        let vertices = mesh.vertices.len();
        assert!(
            mesh.triangles
                .iter()
                .flatten()
                .all(|&v| (v as usize) < vertices)
        );
        assert!(mesh.triangles.len() <= bytes.len());
    }
    if let Some(mut points) = draw(&shape, 32, &mut Stream::new(0, "fuzz", &[])) {
        to_unit_sphere(&mut points);
        assert!(
            points.iter().flatten().all(|x| x.abs() <= 1.001),
            "{points:?}"
        );
    }
});
