//! Arrays of NumPy.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::points::{Array, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = Array::parse(Path::new("a.npy"), bytes) {
        assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
        assert!(array.values.iter().all(|x| x.is_finite()));
    }
    let _ = parse(Path::new("a.npy"), "npy", bytes);
});
