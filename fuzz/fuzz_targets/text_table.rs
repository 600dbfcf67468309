//! Tables of texts: CSV and JSON lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nac_data::{DataConfig, DataDirs, open};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for name in ["a.csv", "a.jsonl"] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let config = DataConfig {
            name: "text-csv".into(),
            path: Some(path),
            ..DataConfig::default()
        };
        let dirs = DataDirs::new(None, None, dir.path().into());
        if let Ok(splits) = open(&config, &dirs, 0) {
            for index in 0..splits.train.len() {
                assert!(splits.train.get(index).is_ok());
            }
        }
    }
});
