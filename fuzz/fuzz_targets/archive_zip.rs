//! Zip archives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nac_data::Silent;
use nac_data::fetch::extract::{Limits, extract};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let archive = dir.path().join("a.zip");
    std::fs::write(&archive, bytes).expect("a file");
    let limits = Limits {
        bytes: 1 << 16,
        entries: 16,
    };
    let into = dir.path().join("into");
    std::fs::create_dir(&into).expect("a folder");
    let _ = extract(&archive, &into, limits, &Silent);
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        2
    );
});
