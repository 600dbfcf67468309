//! Text files that list the images of CUB-200-2011 and Tiny-ImageNet.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::{cub, tiny_imagenet};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(rows) = cub::parse_table(Path::new("images.txt"), text) {
        let lines = text.lines().count();
        assert!(rows.len() <= lines);
        assert!(rows.values().all(|(line, _)| (1..=lines as u64).contains(line)));
    }
    if let Ok(rows) = tiny_imagenet::parse_annotations(Path::new("val_annotations.txt"), text) {
        for (name, class) in rows {
            assert!(class < 200 && !name.contains(['/', '\\']));
        }
    }
});
