//! HDF5 files of points.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::Dataset;
use nac_data::source::points::parse_point_file;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(clouds) = parse_point_file(Path::new("a.h5"), bytes.to_vec(), 8, 40) {
        for index in 0..clouds.len() {
            assert!(clouds.class(index).is_some_and(|class| class < 40));
            assert!(clouds.get(index).is_ok());
        }
    }
});
