//! JSON lines of NLVR, as pixels and as objects.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::nlvr::check_lines;
use nac_data::{NlvrInput, NlvrPart};

fuzz_target!(|bytes: &[u8]| {
    for input in [NlvrInput::Image, NlvrInput::Objects] {
        if let Ok(count) = check_lines(Path::new("dev.json"), bytes, NlvrPart::Dev, input) {
            assert!(count > 0 && count <= bytes.len());
        }
    }
});
