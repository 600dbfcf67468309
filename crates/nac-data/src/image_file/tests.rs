//! Image files: what is decoded, resized and refused.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::Values;

#[derive(Deserialize)]
struct Resized {
    source: [usize; 2],
    size: [usize; 2],
    resize: Resize,
    filter: ResizeFilter,
    pixels: String,
}

#[derive(Deserialize)]
struct File {
    name: String,
    bytes: String,
    size: [usize; 2],
    tolerance: u8,
    pixels: String,
}

fn fixture<T: serde::de::DeserializeOwned>(text: &str, key: &str) -> Vec<T> {
    let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(all[key].take()).unwrap()
}

fn files() -> &'static [File] {
    static FILES: std::sync::LazyLock<Vec<File>> = std::sync::LazyLock::new(|| {
        let text = include_str!("../../tests/fixtures/image/decode.json");
        fixture(text, "files")
    });
    &FILES
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    (0..text.len() / 2).map(byte).collect()
}

/// The picture of `make.py`.
fn pattern(width: usize, height: usize) -> Picture {
    let value = |y: usize, x: usize, c: usize| {
        (x * 5 + y * 3 + c * 40 + ((x / 4 + y / 3) % 2) * 90 + (x * y) % 17 * 4) as u8
    };
    let pixels = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| value(y, x, c))))
        .collect();
    Picture::new(width, height, pixels).unwrap()
}

fn distance(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn resizing_gives_the_bytes_of_pil() {
    let text = include_str!("../../tests/fixtures/image/resize.json");
    let cases: Vec<Resized> = fixture(text, "cases");
    assert_eq!(cases.len(), 32);
    for case in cases {
        let [width, height] = case.size;
        let source = pattern(case.source[0], case.source[1]);
        let found = resize(&source, [height, width], case.resize, case.filter).unwrap();
        let d = distance(found.pixels(), &hex(&case.pixels));
        assert!(
            d == 0,
            "{:?} to {:?} {} {}: {d}",
            case.source,
            case.size,
            case.resize,
            case.filter
        );
    }
}

#[test]
fn files_decode_as_pil_decodes_them() {
    for file in files() {
        let found = decode(Path::new(&file.name), &hex(&file.bytes)).unwrap();
        assert_eq!([found.width(), found.height()], file.size, "{}", file.name);
        let d = distance(found.pixels(), &hex(&file.pixels));
        assert!(d <= file.tolerance, "{}: {d}", file.name);
    }
}

#[test]
fn padding_is_black_and_centred() {
    let white = Picture::new(4, 2, vec![255; 24]).unwrap();
    let found = resize(&white, [8, 8], Resize::Pad, ResizeFilter::Bilinear).unwrap();
    let rows: Vec<u8> = found.pixels().chunks(24).map(|row| row[0]).collect();
    assert_eq!(rows, [0, 0, 255, 255, 255, 255, 0, 0]);
    let thin = Picture::new(1, 1000, vec![255; 3000]).unwrap();
    let found = resize(&thin, [8, 8], Resize::Pad, ResizeFilter::Bicubic).unwrap();
    assert_eq!(found.to_buffer(1).unwrap().shape(), [1, 8, 8]);
    assert!(resize(&thin, [0, 8], Resize::Pad, ResizeFilter::Bicubic).is_err());
    assert!(
        resize(
            &thin,
            [1 << 20, 1 << 20],
            Resize::Crop,
            ResizeFilter::Bicubic
        )
        .is_err()
    );
}

#[test]
fn extreme_proportions_need_little_memory() {
    // The whole image at the cut's scale would have 64 · 64 · 100,000 pixels.
    let thin = Picture::new(1, 100_000, vec![7; 300_000]).unwrap();
    for how in [Resize::Crop, Resize::Squash, Resize::Pad] {
        let found = resize(&thin, [64, 64], how, ResizeFilter::Bicubic).unwrap();
        assert!(found.pixels().iter().all(|&p| p == 7 || how == Resize::Pad));
    }
}

#[test]
fn channels_are_planes_and_grey_is_luma() {
    let picture = Picture::new(2, 1, vec![255, 0, 0, 0, 255, 10]).unwrap();
    let rgb = picture.to_buffer(3).unwrap();
    assert_eq!(*rgb.values(), Values::U8(vec![255, 0, 0, 255, 0, 10]));
    let grey = picture.to_buffer(1).unwrap();
    assert_eq!(*grey.values(), Values::U8(vec![76, 151]));
    assert!(picture.to_buffer(4).is_err());
    assert_eq!(picture.crop(1, 0, 9, 9).pixels(), [0, 255, 10]);
}

/// A PNG of 60,000 x 60,000 pixels, by its header.
fn png_bomb() -> Vec<u8> {
    let mut bytes = hex(&files()[0].bytes);
    bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

/// The same as a JPEG: its frame header is after the marker FFC0 (height, then width, after 5 bytes).
fn jpeg_bomb() -> Vec<u8> {
    let files = files();
    let file = files.iter().find(|f| f.name == "smooth.jpeg").unwrap();
    let mut bytes = hex(&file.bytes);
    let frame = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    let side = 60_000_u16.to_be_bytes();
    bytes[frame + 5..frame + 7].copy_from_slice(&side);
    bytes[frame + 7..frame + 9].copy_from_slice(&side);
    bytes
}

#[test]
fn bombs_are_refused_by_their_header() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("bomb.png", png_bomb()), ("bomb.jpeg", jpeg_bomb())] {
        let error = decode(Path::new(name), &bytes).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("60000 x 60000"),
            "{error}"
        );
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = check_header(&path).unwrap_err().to_string();
        assert!(error.contains("60000 x 60000"), "{error}");
    }
}

#[test]
fn cut_off_empty_and_foreign_files_are_errors() {
    // Half of the animation has all of its first frame.
    for file in files().iter().filter(|file| file.name != "frames.gif") {
        let bytes = hex(&file.bytes);
        let cut = decode(Path::new(&file.name), &bytes[..bytes.len() / 2]);
        let Err(error) = cut else {
            panic!("half of {} is an image", file.name)
        };
        assert!(matches!(error, crate::DataError::CorruptFile { .. }));
        assert!(error.to_string().contains(&file.name), "{error}");
    }
    for bytes in [&[][..], &[0; 4096], b"hello, this is no image", b"II*\0"] {
        assert!(decode(Path::new("x"), bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Changed bytes give an image of the limits or a typed error.
    #[test]
    fn changed_files_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = hex(&which.get(files()).bytes);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        match decode(Path::new("mutated"), &bytes) {
            Ok(picture) => prop_assert!((picture.width() * picture.height()) as u64 <= MAX_PIXELS),
            Err(error) => prop_assert!(error.to_string().contains("mutated")),
        }
    }

    /// Any size to any size.
    #[test]
    fn every_ratio_gives_the_size_asked_for(
        from in [1_usize..200, 1..200], to in [1_usize..80, 1..80], how in 0..3, bicubic in any::<bool>(),
    ) {
        let how = [Resize::Crop, Resize::Squash, Resize::Pad][how as usize];
        let filter = if bicubic { ResizeFilter::Bicubic } else { ResizeFilter::Bilinear };
        let found = resize(&pattern(from[0], from[1]), to, how, filter).unwrap();
        prop_assert_eq!([found.height(), found.width()], to);
    }
}
