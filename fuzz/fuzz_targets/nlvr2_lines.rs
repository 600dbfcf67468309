//! JSON lines of NLVR2.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::Nlvr2Part;
use nac_data::source::nlvr2::check_lines;

fuzz_target!(|bytes: &[u8]| {
    for part in [Nlvr2Part::Train, Nlvr2Part::Dev] {
        if let Ok(count) = check_lines(Path::new("a.json"), bytes, part) {
            assert!(count > 0 && count <= bytes.len());
        }
    }
});
