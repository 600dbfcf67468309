//! Files of voxel records.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::modelnet::check_voxels;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_voxels(Path::new("train.bin"), bytes);
});
