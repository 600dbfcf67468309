//! A table of points of the plane, by their distance from the middle.

use std::path::Path;

use fs_err as fs;

use super::folders::PER_CLASS;
use crate::DataError;
use crate::random::Stream;

const CLASSES: [&str; 3] = ["near", "middle", "far"];

pub(super) fn write(folder: &Path) -> Result<usize, DataError> {
    let mut stream = Stream::new(0, "sample table", &[]);
    let mut text = String::from("x,y,class\n");
    for _ in 0..PER_CLASS {
        for (ring, class) in CLASSES.iter().enumerate() {
            let radius = 1.0 + 2.0 * ring as f64 + 0.8 * stream.uniform();
            let (sin, cos) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
            text += &format!("{:.4},{:.4},{class}\n", radius * cos, radius * sin);
        }
    }
    fs::write(folder.join("table.csv"), text)?;
    Ok(1)
}
