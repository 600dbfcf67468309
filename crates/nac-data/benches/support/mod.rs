//! JPEG files of seeded shapes and noise: they need no data set, and decode about as slowly as photographs.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use nac_data::random::Stream;

/// Height and width of a photograph, and of one of Tiny-ImageNet.
pub(crate) const SIZES: [(&str, [usize; 2], usize); 2] = [
    ("375x500 to 224", [375, 500], 224),
    ("64x64 to 64", [64, 64], 64),
];

/// RGB bytes `[height, width, 3]`: waves, disks and some noise.
pub(crate) fn picture([height, width]: [usize; 2], seed: u64) -> Vec<u8> {
    let mut stream = Stream::new(seed, "benchmark picture", &[]);
    let mut disks = [[0.0_f64; 6]; 12];
    for disk in &mut disks {
        *disk = [(); 6].map(|()| stream.uniform());
    }
    let mut pixels = Vec::with_capacity(height * width * 3);
    for row in 0..height {
        for column in 0..width {
            let (y, x) = (row as f64 / height as f64, column as f64 / width as f64);
            let mut colour = [x, y, (9.0 * (x + y)).sin() * 0.5 + 0.5];
            for [top, left, size, r, g, b] in &disks {
                if (y - top).hypot(x - left) < size * 0.2 {
                    colour = [*r, *g, *b];
                }
            }
            let noise = stream.uniform() * 24.0;
            pixels.extend(colour.map(|value| (value * 230.0 + noise) as u8));
        }
    }
    pixels
}

/// The same as a JPEG file of quality 90.
pub(crate) fn jpeg(size: [usize; 2], seed: u64) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 90)
        .write_image(
            &picture(size, seed),
            size[1] as u32,
            size[0] as u32,
            ExtendedColorType::Rgb8,
        )
        .expect("an image in memory");
    file
}
