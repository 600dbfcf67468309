//! Binary batches of CIFAR-10 and CIFAR-100.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::source::{cifar10, cifar100};
use nac_data::{Cifar100Config, DataError, SharedDataset};

fn check(images: Result<SharedDataset, DataError>, record: usize, length: usize) {
    let Ok(images) = images else { return };
    assert_eq!(images.len() * record, length);
    let classes = images.info().output.class_count();
    for index in 0..images.len() {
        assert!(images.class(index) < classes);
        assert!(images.get(index).is_ok());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("a.bin");
    check(cifar10::parse(path, bytes), 3073, bytes.len());
    for coarse in [false, true] {
        let images = cifar100::parse(path, bytes, Cifar100Config { coarse });
        check(images, 3074, bytes.len());
    }
});
