//! Image files, decoded and resized.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nac_data::image_file::prepare_bytes;
use nac_data::{Resize, ResizeFilter};

fuzz_target!(|bytes: &[u8]| {
    let size = [3, 8, 6];
    let image = prepare_bytes(
        Path::new("a"),
        bytes,
        size,
        Resize::Crop,
        ResizeFilter::Bicubic,
    );
    if let Ok(image) = image {
        assert_eq!(image.shape(), size);
    }
});
