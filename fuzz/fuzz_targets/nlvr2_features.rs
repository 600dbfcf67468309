//! Headers of safetensors files with pre-computed features.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::nlvr2::check_features;

fuzz_target!(|bytes: &[u8]| {
    if let Ok([tokens, dim]) = check_features(Path::new("a.safetensors"), bytes) {
        // Each number needs at least two bytes.
        assert!(tokens > 0 && dim > 0 && tokens * dim * 2 < bytes.len());
    }
});
