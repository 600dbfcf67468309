//! ListOps expressions in tables of the Long Range Arena.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nac_data::Silent;
use nac_data::source::listops::{evaluate, parse, read_tsv};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(symbols) = parse(text) {
            let _ = evaluate(&symbols);
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.tsv");
    std::fs::write(&path, bytes).expect("a file");
    let _ = read_tsv(&path, &Silent);
});
