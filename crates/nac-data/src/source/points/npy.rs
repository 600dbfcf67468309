//! Arrays of NumPy's `.npy` format, versions 1 to 3.
//!
//! The magic `\x93NUMPY`, two bytes of version, the length of the header (u16, from version 2 on u32, little-endian), the
//! header as a Python dictionary with `descr`, `fortran_order` and `shape`, then the numbers.

use std::path::Path;

use crate::DataError;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy itself refuses more than 10,000 bytes.
const MAX_HEADER: usize = 10_000;

/// An array of numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape; the product is the number of values.
    pub shape: Vec<usize>,
    /// Its values, all finite.
    pub values: Vec<f32>,
}

impl Array {
    /// Parses a whole file; `path` is for errors.
    ///
    /// # Errors
    /// [`DataError::CorruptFile`] with the byte of what is wrong, a value that is not finite included.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        parse(path, bytes)
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let corrupt = |offset: usize, reason: String| DataError::CorruptFile {
        path: path.into(),
        offset: offset as u64,
        reason,
    };
    let (header, start) = header(bytes).map_err(|(at, reason)| corrupt(at, reason))?;
    let Header {
        kind,
        big_endian,
        fortran,
        shape,
    } = parse_header(header).map_err(|reason| corrupt(MAGIC.len() + 2, reason))?;
    let width = kind.width();
    let data = bytes.get(start..).unwrap_or_default();
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let needed = count.and_then(|count| count.checked_mul(width));
    if needed != Some(data.len()) {
        let reason = format!(
            "shape {shape:?} of {width} bytes each does not match the {} bytes that follow",
            data.len()
        );
        return Err(corrupt(start, reason));
    }
    let mut values = Vec::with_capacity(count.unwrap_or(0));
    for (number, raw) in data.chunks_exact(width).enumerate() {
        let value = kind.value(raw, big_endian);
        if !value.is_finite() {
            let reason = format!("value {number} is {value}, not a finite number");
            return Err(corrupt(start + number * width, reason));
        }
        values.push(value);
    }
    let values = if fortran {
        row_major(&shape, &values)
    } else {
        values
    };
    Ok(Array { shape, values })
}

/// The text of the header and the offset of the numbers; else an offset and what is wrong there.
fn header(bytes: &[u8]) -> Result<(&str, usize), (usize, String)> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err((
            0,
            "no NumPy array: the first bytes are not \\x93NUMPY".into(),
        ));
    };
    let (length, start) = match *rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), MAGIC.len() + 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, MAGIC.len() + 6),
        [version, ..] if !(1..=3).contains(&version) => {
            return Err((MAGIC.len(), format!("version {version}, expected 1 to 3")));
        }
        _ => return Err((bytes.len(), "the file ends inside the header".into())),
    };
    if length > MAX_HEADER {
        return Err((
            MAGIC.len() + 2,
            format!("a header of {length} bytes, at most {MAX_HEADER}"),
        ));
    }
    let end = start + length;
    let Some(text) = bytes.get(start..end) else {
        return Err((bytes.len(), "the file ends inside the header".into()));
    };
    let text = std::str::from_utf8(text).map_err(|_| (start, "the header is not UTF-8".into()))?;
    Ok((text, end))
}

#[derive(Debug, PartialEq)]
struct Header {
    kind: Kind,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    F32,
    F64,
    Signed(usize),
    Unsigned(usize),
}

impl Kind {
    fn width(self) -> usize {
        match self {
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Signed(width) | Kind::Unsigned(width) => width,
        }
    }

    fn value(self, raw: &[u8], big_endian: bool) -> f32 {
        let mut bits = 0u64;
        for (place, &byte) in raw.iter().enumerate() {
            let place = if big_endian {
                raw.len() - 1 - place
            } else {
                place
            };
            bits |= u64::from(byte) << (8 * place);
        }
        match self {
            Kind::F32 => f32::from_bits(bits as u32),
            Kind::F64 => f64::from_bits(bits) as f32,
            Kind::Unsigned(_) => bits as f32,
            Kind::Signed(width) => {
                let unused = 64 - 8 * width as u32;
                ((bits << unused) as i64 >> unused) as f32
            }
        }
    }
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse_header(text: &str) -> Result<Header, String> {
    let after = |key: &str| {
        let quoted = [format!("'{key}'"), format!("\"{key}\"")];
        let found = quoted.iter().find_map(|key| text.split_once(key.as_str()));
        let value = found.and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
        value
            .map(str::trim_start)
            .ok_or_else(|| format!("the header has no `{key}`"))
    };
    let descr: String = after("descr")?.chars().take(8).collect();
    let descr = descr.split(['\'', '"']).nth(1).unwrap_or_default();
    let order = descr.chars().next().unwrap_or_default();
    let kind = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        "b1" | "u1" => Kind::Unsigned(1),
        "u2" => Kind::Unsigned(2),
        "u4" => Kind::Unsigned(4),
        "u8" => Kind::Unsigned(8),
        "i1" => Kind::Signed(1),
        "i2" => Kind::Signed(2),
        "i4" => Kind::Signed(4),
        "i8" => Kind::Signed(8),
        _ => {
            return Err(format!(
                "dtype `{descr}` is not read; save float32, float64 or integers"
            ));
        }
    };
    let fortran = match after("fortran_order")? {
        value if value.starts_with("True") => true,
        value if value.starts_with("False") => false,
        _ => return Err("`fortran_order` is neither True nor False".into()),
    };
    let shape = after("shape")?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or("`shape` is no tuple")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.parse::<usize>()
                .map_err(|_| format!("`shape` has `{word}`"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Header {
        kind,
        big_endian: order == '>',
        fortran,
        shape,
    })
}

/// Values in the order of the last axis first, from those in the order of the first axis first.
fn row_major(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &size in shape {
        strides.push(stride);
        stride *= size;
    }
    let place = |mut number: usize| {
        let mut place = 0;
        for (&size, &stride) in shape.iter().zip(&strides).rev() {
            place += number % size * stride;
            number /= size;
        }
        place
    };
    (0..values.len())
        .map(|number| values[place(number)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1 as NumPy writes it.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Array, String> {
        parse(Path::new("a.npy"), bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn types_and_orders() {
        let floats: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|x| x.to_be_bytes())
            .collect();
        let array = read(&file(
            "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }",
            &floats,
        ));
        assert_eq!(
            array.unwrap(),
            Array {
                shape: vec![2],
                values: vec![1.5, -2.0]
            }
        );
        let array = read(&file(
            "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }",
            &[1, 0, 2, 0, 255, 255, 0, 1],
        ));
        assert_eq!(array.unwrap().values, [1.0, -1.0, 2.0, 256.0]);
        let array = read(&file(
            "{'descr': '|b1', 'fortran_order': False, 'shape': (), }",
            &[1],
        ));
        assert_eq!(
            array.unwrap(),
            Array {
                shape: vec![],
                values: vec![1.0]
            }
        );
    }

    #[test]
    fn damage_is_named_with_its_byte() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }";
        let data = 1.0f32.to_le_bytes();
        assert!(read(&file(good, &data)).is_ok());
        for (bytes, part) in [
            (b"PK".to_vec(), "at byte 0: no NumPy array"),
            (MAGIC.to_vec(), "at byte 6: the file ends inside the header"),
            (
                file(good, &data)[..40].to_vec(),
                "at byte 40: the file ends",
            ),
            (file(good, &data[..3]), "does not match the 3 bytes"),
            (
                file(
                    &good.replace("(1, 1)", "(4294967296, 4294967296, 4)"),
                    &data,
                ),
                "does not match",
            ),
            (
                file(&good.replace("(1, 1)", "(0, 3)"), &data),
                "does not match",
            ),
            (file(&good.replace("<f4", "|O"), &data), "dtype `|O`"),
            (file(&good.replace("(1, 1)", "(-1, 1)"), &data), "`-1`"),
            (
                file(&good.replace("False", "Maybe"), &data),
                "fortran_order",
            ),
            (file(good, &f32::NAN.to_le_bytes()), "value 0 is NaN"),
            ([MAGIC, &[9, 0, 0, 0]].concat(), "at byte 6: version 9"),
            (
                [MAGIC, &[2, 0, 255, 255, 255, 255]].concat(),
                "a header of 4294967295 bytes",
            ),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
