//! Archives: the bytes of a tar file, which is compressed here, so that its headers are what is fuzzed.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use nac_data::Silent;
use nac_data::fetch::extract::{Limits, extract};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    let archive = dir.path().join("a.tar.gz");
    std::fs::write(&archive, encoder.finish().expect("memory")).expect("a file");
    let limits = Limits {
        bytes: 1 << 16,
        entries: 16,
    };
    let into = dir.path().join("into");
    std::fs::create_dir(&into).expect("a folder");
    let _ = extract(&archive, &into, limits, &Silent);
    // Nothing leaves the folder.
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        2
    );
});
