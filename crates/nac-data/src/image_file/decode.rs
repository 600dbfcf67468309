//! Bytes of a file to a [`Picture`].
//!
//! The format is that of the content, whatever the name ends in. What comes out is always RGB with 8 bits:
//! - grey becomes three equal channels, a palette its colours, 16 bits are divided by 257 and rounded;
//! - transparent pixels are laid over black, the colour with which [`Resize::Pad`](crate::Resize::Pad) fills;
//! - the orientation of EXIF is applied, so that a photograph is upright (torchvision's `ImageFolder` leaves it as stored);
//! - of animations, the first frame.

use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use fs_err as fs;

use super::Picture;
use crate::DataError;

/// Most pixels of an image; larger ones are refused before they are decoded.
pub const MAX_PIXELS: u64 = 50_000_000;
/// Most bytes of an image file.
const MAX_FILE_BYTES: u64 = 1 << 28;
const JPEG_MAGIC: [u8; 3] = [0xff, 0xd8, 0xff];
/// Marker before compressed data.
const JPEG_SCAN: u8 = 0xda;
const JPEG_END: [u8; 2] = [0xff, 0xd9];
/// Most bytes that a decoder may allocate besides its output.
const MAX_DECODER_BYTES: u64 = 1 << 29;

/// Reads and decodes an image file.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::CorruptFile`] with the reason for what is no image, damaged, cut off, or larger than
/// [`MAX_PIXELS`].
pub fn read(path: &Path) -> Result<Picture, DataError> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_FILE_BYTES {
        return Err(refused(path, too_long(length)));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    Read::by_ref(&mut file)
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    decode(path, &bytes)
}

/// Decodes the bytes of a file; `name` is what errors call it.
///
/// # Errors
/// As [`read`], without the file system's.
pub fn decode(name: &Path, bytes: &[u8]) -> Result<Picture, DataError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refused(name, too_long(bytes.len() as u64)));
    }
    let mut decoder = open(name, Cursor::new(bytes))?;
    if bytes.starts_with(&JPEG_MAGIC) && !jpeg_ends(bytes) {
        return Err(DataError::CorruptFile {
            path: name.into(),
            offset: bytes.len() as u64,
            reason: "the JPEG file is cut off: it has no end marker".into(),
        });
    }
    // A damaged EXIF block is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image =
        DynamicImage::from_decoder(decoder).map_err(|e| refused(name, e.to_string()))?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = if image.color().has_alpha() {
        let rgba = image.into_rgba8().into_raw();
        rgba.chunks_exact(4).flat_map(over_black).collect()
    } else {
        image.into_rgb8().into_raw()
    };
    Picture::new(width, height, pixels).map_err(|e| refused(name, e.to_string()))
}

/// Width and height by the header of a file, as stored; the pixels are not decoded.
///
/// # Errors
/// As [`read`], for what the header tells.
pub fn check_header(path: &Path) -> Result<[u32; 2], DataError> {
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_FILE_BYTES {
        return Err(refused(path, too_long(length)));
    }
    let (width, height) = open(path, BufReader::new(file))?.dimensions();
    Ok([width, height])
}

/// A decoder of an image that is not too large.
fn open<'a>(
    name: &Path,
    content: impl BufRead + Seek + 'a,
) -> Result<impl ImageDecoder + 'a, DataError> {
    let mut reader = ImageReader::new(content)
        .with_guessed_format()
        .map_err(|e| refused(name, e.to_string()))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let decoder = reader
        .into_decoder()
        .map_err(|e| refused(name, e.to_string()))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let reason = format!("{width} x {height} pixels, at most {MAX_PIXELS} are read");
        return Err(refused(name, reason));
    }
    if width == 0 || height == 0 {
        return Err(refused(name, format!("{width} x {height} pixels")));
    }
    Ok(decoder)
}

/// Whether an end marker follows the start of the compressed data. The decoder fills what is missing with grey.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = JPEG_MAGIC.len() - 1;
    // Segments: FF, kind, length of what follows. FF may be repeated.
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        if kind == 0xff {
            at += 1;
            continue;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        if kind == JPEG_SCAN {
            break;
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(2).any(|pair| pair == JPEG_END)
}

fn over_black(rgba: &[u8]) -> [u8; 3] {
    let &[r, g, b, alpha] = rgba else {
        return [0; 3];
    };
    [r, g, b].map(|x| ((u32::from(x) * u32::from(alpha) + 127) / 255) as u8)
}

fn too_long(bytes: u64) -> String {
    format!("the file has {bytes} bytes, at most {MAX_FILE_BYTES} are read")
}

fn refused(name: &Path, reason: String) -> DataError {
    DataError::CorruptFile {
        path: name.into(),
        offset: 0,
        reason: format!("not a readable image: {reason}"),
    }
}
