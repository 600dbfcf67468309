//! Decoding, resizing, and both.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use nac_data::image_file::{Picture, decode, prepare_bytes, resize};
use nac_data::{Resize, ResizeFilter};

fn images(criterion: &mut Criterion) {
    let name = Path::new("picture.jpg");
    for (label, size, side) in support::SIZES {
        let file = support::jpeg(size, 0);
        let picture = Picture::new(size[1], size[0], support::picture(size, 0)).expect("a picture");
        criterion.bench_function(&format!("decode/{label}"), |b| {
            b.iter(|| decode(name, black_box(&file)).expect("a JPEG file"));
        });
        for filter in [ResizeFilter::Bilinear, ResizeFilter::Bicubic] {
            // A size that differs, so that there is something to resize.
            let target = [side * 3 / 4; 2];
            criterion.bench_function(&format!("resize/{filter}/{label}"), |b| {
                b.iter(|| {
                    resize(black_box(&picture), target, Resize::Crop, filter).expect("resized")
                });
            });
        }
        criterion.bench_function(&format!("prepare/{label}"), |b| {
            let how = (Resize::Crop, ResizeFilter::Bilinear);
            b.iter(|| {
                prepare_bytes(name, black_box(&file), [3, side, side], how.0, how.1)
                    .expect("prepared")
            });
        });
    }
}

criterion_group!(benches, images);
criterion_main!(benches);
