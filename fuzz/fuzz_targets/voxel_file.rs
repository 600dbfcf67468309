//! Single files of voxels.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::points::parse_voxels;

fuzz_target!(|bytes: &[u8]| {
    for extension in ["binvox", "npy"] {
        if let Ok(cells) = parse_voxels(Path::new("a"), extension, bytes, [2, 3, 4]) {
            assert_eq!(cells.shape(), [2, 3, 4]);
        }
    }
});
