//! Texts as the symbols that a model reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nac_data::preprocess::read_file;
use nac_data::{InputKind, Preprocessing};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.txt");
    std::fs::write(&path, bytes).expect("a file");
    let kind = InputKind::Tokens {
        vocabulary: 257,
        max_len: 16,
        pad: 0,
    };
    let words = || vec!["a".into(), "the".into(), "ß".into()];
    for how in [
        Preprocessing::Bytes {},
        Preprocessing::Words { words: words() },
        Preprocessing::Symbols { symbols: words() },
    ] {
        if let Ok(examples) = read_file(&path, "tokens", &kind, &how) {
            assert!(
                examples
                    .iter()
                    .all(|tokens| (1..=16).contains(&tokens.values().len()))
            );
        }
    }
});
