//! Lists of points as text.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::random::Stream;
use nac_data::source::points::{draw, parse, to_unit_sphere};

fuzz_target!(|bytes: &[u8]| {
    let Ok(shape) = parse(Path::new("a.xyz"), "xyz", bytes) else {
        return;
    };
    let points = draw(&shape, 32, &mut Stream::new(0, "fuzz", &[]));
    let mut points = points.expect("a list that is read has points");
    to_unit_sphere(&mut points);
    assert!(
        points.iter().flatten().all(|x| x.abs() <= 1.001),
        "{points:?}"
    );
});
