//! Meshes and points in the Polygon File Format (Turk 1994), as text or binary in either byte order.
//!
//! A header of text lines from `ply` to `end_header` declares elements with their numbers and properties; the elements
//! follow in that order. The properties `x`, `y` and `z` of `vertex` and the list `vertex_indices` (or `vertex_index`) of
//! `face` are taken, the rest is passed over. Without faces, the vertices are the points.

use std::path::Path;

use super::shape::{Mesh, Shape};
use crate::DataError;

/// Longest header.
const MAX_HEADER: usize = 1 << 16;

/// An offset and what is wrong there.
type Refused = (usize, String);

/// Parses a whole file; `path` is for errors.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Shape, DataError> {
    read(bytes).map_err(|(offset, reason)| DataError::CorruptFile {
        path: path.into(),
        offset: offset as u64,
        reason,
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Text,
    Little,
    Big,
}

/// Bytes of a number, and whether it is a signed integer, an unsigned one, or a real number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    width: usize,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Signed,
    Unsigned,
    Real,
}

impl Number {
    fn named(name: &str) -> Option<Self> {
        let (width, form) = match name {
            "char" | "int8" => (1, Form::Signed),
            "short" | "int16" => (2, Form::Signed),
            "int" | "int32" => (4, Form::Signed),
            "uchar" | "uint8" => (1, Form::Unsigned),
            "ushort" | "uint16" => (2, Form::Unsigned),
            "uint" | "uint32" => (4, Form::Unsigned),
            "float" | "float32" => (4, Form::Real),
            "double" | "float64" => (8, Form::Real),
            _ => return None,
        };
        Some(Self { width, form })
    }

    /// The value of bits that fill the width.
    fn value(self, bits: u64) -> f64 {
        match (self.form, self.width) {
            (Form::Real, 4) => f32::from_bits(bits as u32).into(),
            (Form::Real, _) => f64::from_bits(bits),
            (Form::Unsigned, _) => bits as f64,
            (Form::Signed, width) => {
                let unused = 64 - 8 * width as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
        }
    }
}

struct Property {
    name: String,
    /// Type of the number of items, if it is a list.
    list: Option<Number>,
    number: Number,
}

struct Element {
    name: String,
    count: usize,
    properties: Vec<Property>,
}

fn read(bytes: &[u8]) -> Result<Shape, Refused> {
    let (encoding, elements, start) = header(bytes)?;
    let mut values = Values {
        bytes,
        at: start,
        encoding,
    };
    let mut mesh = Mesh::default();
    for element in &elements {
        values.check(element)?;
        for _ in 0..element.count {
            match element.name.as_str() {
                "vertex" => mesh.vertices.push(vertex(&mut values, element)?),
                "face" => face(&mut values, element, &mut mesh)?,
                _ => values.pass(element)?,
            }
        }
    }
    if mesh.vertices.is_empty() {
        return Err((start, "there are no vertices".into()));
    }
    if mesh.triangles.is_empty() {
        return Ok(Shape::Points(mesh.vertices));
    }
    Ok(Shape::Mesh(mesh))
}

/// Encoding and elements, and where these start.
fn header(bytes: &[u8]) -> Result<(Encoding, Vec<Element>, usize), Refused> {
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    let mut at = 0;
    let mut encoding = None;
    let mut elements: Vec<Element> = Vec::new();
    loop {
        let Some(length) = head[at..].iter().position(|&byte| byte == b'\n') else {
            return Err((head.len(), "the header has no line `end_header`".into()));
        };
        let refused = |reason: &str| (at, reason.to_owned());
        let line = std::str::from_utf8(&head[at..at + length])
            .map_err(|_| refused("the header is not UTF-8"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["ply"] if at == 0 => {}
            _ if at == 0 => {
                return Err(refused("a file of this format starts with the line `ply`"));
            }
            ["format", name, "1.0"] => {
                encoding = Some(match name {
                    "ascii" => Encoding::Text,
                    "binary_little_endian" => Encoding::Little,
                    "binary_big_endian" => Encoding::Big,
                    _ => return Err(refused("the format is none that is known")),
                });
            }
            ["element", name, count] => elements.push(Element {
                name: name.into(),
                count: count
                    .parse()
                    .map_err(|_| refused("an element without its number"))?,
                properties: Vec::new(),
            }),
            ["property", ref property @ ..] => {
                let property = self::property(property)
                    .ok_or_else(|| refused("a property of no type that is known"))?;
                let element = elements.last_mut();
                let element = element.ok_or_else(|| refused("a property of no element"))?;
                element.properties.push(property);
            }
            ["end_header"] => {
                let encoding =
                    encoding.ok_or_else(|| refused("the header has no line `format`"))?;
                return Ok((encoding, elements, at + length + 1));
            }
            [] | ["comment" | "obj_info", ..] => {}
            _ => return Err(refused("a line of the header is none that is known")),
        }
        at += length + 1;
    }
}

fn property(words: &[&str]) -> Option<Property> {
    match *words {
        ["list", count, number, name] => Some(Property {
            name: name.into(),
            list: Some(Number::named(count).filter(|count| count.form != Form::Real)?),
            number: Number::named(number)?,
        }),
        [number, name] => Some(Property {
            name: name.into(),
            list: None,
            number: Number::named(number)?,
        }),
        _ => None,
    }
}

/// The numbers after the header, one after another.
struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl Values<'_> {
    /// Checks that the rest of the file is long enough for the numbers of an element without the items of its lists.
    fn check(&self, element: &Element) -> Result<(), Refused> {
        let least = |property: &Property| match self.encoding {
            // A digit and a space.
            Encoding::Text => 2,
            _ => property.list.unwrap_or(property.number).width,
        };
        let record: usize = element.properties.iter().map(least).sum();
        let left = self.bytes.len() - self.at.min(self.bytes.len());
        let needed = record.checked_mul(element.count);
        // The last number of a text may lack its space.
        if needed.is_none_or(|needed| needed > left + 1) || (record == 0 && element.count > 0) {
            return Err((
                self.at,
                format!(
                    "{} times `{}` do not fit in the {left} bytes that follow",
                    element.count, element.name
                ),
            ));
        }
        Ok(())
    }

    fn number(&mut self, kind: Number) -> Result<f64, Refused> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if self.encoding == Encoding::Text {
            let blank = rest
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let start = self.at + blank;
            let word = &rest[blank..];
            let length = word
                .iter()
                .take_while(|byte| !byte.is_ascii_whitespace())
                .count();
            let text = std::str::from_utf8(&word[..length]).ok();
            let value = text.and_then(|text| text.parse().ok());
            self.at = start + length;
            return value.ok_or_else(|| (start, "a number is missing".into()));
        }
        let Some(raw) = rest.get(..kind.width) else {
            return Err((self.bytes.len(), "the file ends inside its elements".into()));
        };
        self.at += kind.width;
        let mut bits = 0u64;
        for (place, &byte) in raw.iter().enumerate() {
            let place = if self.encoding == Encoding::Big {
                raw.len() - 1 - place
            } else {
                place
            };
            bits |= u64::from(byte) << (8 * place);
        }
        Ok(kind.value(bits))
    }

    /// Items that follow: 1 if it is no list.
    fn items(&mut self, property: &Property) -> Result<usize, Refused> {
        let Some(kind) = property.list else {
            return Ok(1);
        };
        let at = self.at;
        let count = self.number(kind)?;
        // Each item has at least a byte.
        if count >= 0.0 && count.fract() == 0.0 && count <= self.bytes.len() as f64 {
            return Ok(count as usize);
        }
        Err((at, format!("a list of {count} items")))
    }

    fn pass(&mut self, element: &Element) -> Result<(), Refused> {
        for property in &element.properties {
            for _ in 0..self.items(property)? {
                self.number(property.number)?;
            }
        }
        Ok(())
    }
}

fn vertex(values: &mut Values<'_>, element: &Element) -> Result<[f32; 3], Refused> {
    let mut point = [None; 3];
    for property in &element.properties {
        let at = values.at;
        for _ in 0..values.items(property)? {
            let value = values.number(property.number)? as f32;
            let axis = ["x", "y", "z"]
                .iter()
                .position(|&name| name == property.name);
            let Some(axis) = axis.filter(|_| property.list.is_none()) else {
                continue;
            };
            if !value.is_finite() {
                return Err((
                    at,
                    format!("{} is {value}, not a finite number", property.name),
                ));
            }
            point[axis] = Some(value);
        }
    }
    match point {
        [Some(x), Some(y), Some(z)] => Ok([x, y, z]),
        _ => Err((values.at, "vertices without x, y and z".into())),
    }
}

/// Appends the triangles `(0, i, i + 1)` of the corners of a face.
fn face(values: &mut Values<'_>, element: &Element, mesh: &mut Mesh) -> Result<(), Refused> {
    for property in &element.properties {
        let corners = matches!(property.name.as_str(), "vertex_indices" | "vertex_index");
        let (mut first, mut last) = (None, None);
        for _ in 0..values.items(property)? {
            let at = values.at;
            let value = values.number(property.number)?;
            if !corners {
                continue;
            }
            let vertices = mesh.vertices.len();
            if !(value >= 0.0 && value.fract() == 0.0 && value < vertices as f64) {
                return Err((
                    at,
                    format!("corner {value} is none of the {vertices} vertices before"),
                ));
            }
            let corner = value as u32;
            if let (Some(first), Some(last)) = (first, last) {
                mesh.triangles.push([first, last, corner]);
            }
            last = first.is_some().then_some(corner);
            first = first.or(Some(corner));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "comment made by hand\nelement vertex 4\nproperty uchar red\nproperty float x\nproperty double y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nelement edge 1\nproperty int a\nend_header\n";

    fn text(header: &str, body: &str) -> Vec<u8> {
        format!("ply\nformat ascii 1.0\n{header}{body}").into_bytes()
    }

    fn binary(big: bool) -> Vec<u8> {
        let name = if big { "big" } else { "little" };
        let mut bytes = format!("ply\nformat binary_{name}_endian 1.0\n{HEADER}").into_bytes();
        let mut push = |raw: &[u8]| {
            let mut raw = raw.to_vec();
            if big {
                raw.reverse();
            }
            bytes.extend(raw);
        };
        for [x, y] in [[0.0f32, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]] {
            push(&[255]);
            push(&x.to_le_bytes());
            push(&f64::from(y).to_le_bytes());
            push(&0.5f32.to_le_bytes());
        }
        push(&[4]);
        (0..4i32).for_each(|corner| push(&corner.to_le_bytes()));
        push(&7i32.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Shape, String> {
        parse(Path::new("a.ply"), bytes).map_err(|error| error.to_string())
    }

    const BODY: &str = "255 0 0 .5\n0 1 0 .5\n0 1 1 .5\n0 0 1 .5\n4 0 1 2 3\n7";

    #[test]
    fn text_and_both_byte_orders_give_the_same_square() {
        let square = Shape::Mesh(Mesh {
            vertices: vec![
                [0.0, 0.0, 0.5],
                [1.0, 0.0, 0.5],
                [1.0, 1.0, 0.5],
                [0.0, 1.0, 0.5],
            ],
            triangles: vec![[0, 1, 2], [0, 2, 3]],
        });
        for bytes in [text(HEADER, BODY), binary(false), binary(true)] {
            assert_eq!(read(&bytes).unwrap(), square);
        }
        let points =
            "element vertex 1\nproperty float z\nproperty float y\nproperty float x\nend_header\n";
        assert_eq!(
            read(&text(points, "1 2 3")).unwrap(),
            Shape::Points(vec![[3.0, 2.0, 1.0]])
        );
    }

    #[test]
    fn damage_is_named_with_its_byte() {
        let cut = |bytes: Vec<u8>, less: usize| bytes[..bytes.len() - less].to_vec();
        let body = |old: &str, new: &str| text(HEADER, &BODY.replace(old, new));
        for (bytes, part) in [
            (b"OFF\n".to_vec(), "at byte 0: a file of this format starts"),
            (
                b"ply\nformat ascii 1.0\n".to_vec(),
                "at byte 21: the header has no line `end_header`",
            ),
            (
                b"ply\nelement vertex 1\nend_header\n".to_vec(),
                "no line `format`",
            ),
            (
                b"ply\nformat ascii 2.0\n".to_vec(),
                "at byte 4: a line of the header",
            ),
            (
                b"ply\nproperty float x\n".to_vec(),
                "a property of no element",
            ),
            (
                b"ply\nelement vertex 1\nproperty half x\n".to_vec(),
                "of no type",
            ),
            (b"ply\nelement vertex -1\n".to_vec(), "without its number"),
            (
                text(&HEADER.replace("vertex 4", "vertex 99999999999"), BODY),
                "99999999999 times `vertex` do not fit",
            ),
            (
                text("element x 18446744073709551615\nend_header\n", ""),
                "do not fit",
            ),
            (
                text("element face 0\nend_header\n", ""),
                "there are no vertices",
            ),
            (
                text("element vertex 1\nproperty float x\nend_header\n", "1"),
                "without x, y and z",
            ),
            (body("0 1 1 .5", "0 1 nan .5"), "y is NaN"),
            (body("0 1 1 .5", "0 1 x .5"), "a number is missing"),
            (body("4 0 1 2 3", "4 0 1 2 4"), "corner 4 is none of the 4"),
            (body("4 0 1 2 3", "4 0 1 2 -1"), "corner -1"),
            (
                body("4 0 1 2 3", "1e9 0 1 2 3"),
                "a list of 1000000000 items",
            ),
            (cut(binary(false), 6), "the file ends inside its elements"),
            (
                cut(binary(true), 30),
                "4 times `vertex` do not fit in the 59",
            ),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
