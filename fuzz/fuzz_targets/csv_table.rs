//! Tables of numbers, as a data set and as the columns that a model reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nac_data::preprocess::read_file;
use nac_data::{Column, DataConfig, DataDirs, InputKind, Preprocessing, open};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.csv");
    std::fs::write(&path, bytes).expect("a file");
    let columns = vec![Column {
        name: "x".into(),
        mean: 0.0,
        std: 1.0,
    }];
    let kind = InputKind::Features {
        items: 1,
        dim: 1,
        padded: false,
    };
    let _ = read_file(
        &path,
        "features",
        &kind,
        &Preprocessing::Columns { columns },
    );

    let config = DataConfig {
        name: "csv-table".into(),
        path: Some(path),
        ..DataConfig::default()
    };
    let dirs = DataDirs::new(None, None, dir.path().into());
    if let Ok(splits) = open(&config, &dirs, 0) {
        for index in 0..splits.train.len() {
            assert!(splits.train.get(index).is_ok());
        }
    }
});
