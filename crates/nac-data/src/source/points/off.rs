//! Meshes in the Object File Format (Geomview), as ModelNet's authors distribute them.
//!
//! Plain text: the word `OFF`; the numbers of vertices, faces and edges; a line of coordinates for each vertex; a line for
//! each face with its number of corners and their vertices, counted from 0. Files of ModelNet have the counts glued to the
//! first word (`OFF490 518 0`). `#` starts a comment; what follows the coordinates or corners (normals, colours) is not
//! read. Polygons become fans of triangles; faces of one or two corners have no area and are left out.

use std::path::Path;

use super::lines::{Line, Lines};
use super::shape::Mesh;
use crate::DataError;

/// Fewest bytes of a line with a vertex: three digits, two spaces, a line break.
const VERTEX_BYTES: usize = 6;
/// Fewest bytes of a line with a face: `1 0` and a line break.
const FACE_BYTES: usize = 4;

/// Parses a whole file; `path` is for errors.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Mesh, DataError> {
    let mut lines = Lines::new(path, bytes);
    let (vertices, faces) = header(&mut lines)?;
    let mut mesh = Mesh::default();
    mesh.vertices.reserve_exact(vertices);
    for number in 0..vertices {
        let line = lines.expect(|| format!("vertex {number} of {vertices}"))?;
        mesh.vertices.push(vertex(&line)?);
    }
    mesh.triangles.reserve(faces);
    for number in 0..faces {
        let line = lines.expect(|| format!("face {number} of {faces}"))?;
        face(&line, vertices, &mut mesh.triangles)?;
    }
    if let Some(line) = lines.next()? {
        return Err(line.refused(format!(
            "text after {vertices} vertices and {faces} faces, which is all that the file declares"
        )));
    }
    Ok(mesh)
}

/// Numbers of vertices and faces, which the rest of the file is long enough for.
fn header(lines: &mut Lines<'_>) -> Result<(usize, usize), DataError> {
    let first = lines.expect(|| "the word `OFF`".into())?;
    // Prefixes announce texture coordinates, colours and normals, which follow the coordinates of a vertex.
    let word = first.text.trim_start_matches("ST").trim_start_matches('C');
    let Some(rest) = word.trim_start_matches('N').strip_prefix("OFF") else {
        return Err(first.refused("a file of this format starts with the word `OFF`".into()));
    };
    let rest = rest.trim();
    if rest.starts_with("BINARY") {
        return Err(first.refused("binary OFF files are not read; save the mesh as text".into()));
    }
    let (line, counts) = if rest.is_empty() {
        let line = lines.expect(|| "the numbers of vertices and faces".into())?;
        (line, line.text)
    } else {
        (first, rest)
    };
    let mut words = counts.split_whitespace();
    let mut count = |what: &str| {
        let word = words.next().unwrap_or_default();
        word.parse::<usize>()
            .map_err(|_| line.refused(format!("`{counts}` has no number of {what}")))
    };
    let (vertices, faces) = (count("vertices")?, count("faces")?);
    let needed = vertices
        .checked_mul(VERTEX_BYTES)
        .zip(faces.checked_mul(FACE_BYTES))
        .and_then(|(vertices, faces)| vertices.checked_add(faces));
    // The last line may lack its break.
    if needed.is_none_or(|needed| needed > lines.bytes_left() + 1) || vertices > u32::MAX as usize {
        return Err(line.refused(format!(
            "{vertices} vertices and {faces} faces do not fit in the {} bytes that follow",
            lines.bytes_left()
        )));
    }
    Ok((vertices, faces))
}

fn vertex(line: &Line<'_>) -> Result<[f32; 3], DataError> {
    let mut words = line.text.split_whitespace();
    let mut point = [0.0; 3];
    for coordinate in &mut point {
        let Some(word) = words.next() else {
            return Err(line.refused("a vertex needs three coordinates".into()));
        };
        *coordinate = line.coordinate(word)?;
    }
    Ok(point)
}

/// Appends the triangles `(0, i, i + 1)` of the corners of a face.
fn face(line: &Line<'_>, vertices: usize, triangles: &mut Vec<[u32; 3]>) -> Result<(), DataError> {
    let mut words = line.text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let corners = first.parse::<usize>().ok().filter(|&n| n > 0);
    let corners =
        corners.ok_or_else(|| line.refused(format!("`{first}` is no number of corners")))?;
    let mut ends: Option<(u32, Option<u32>)> = None;
    for number in 0..corners {
        let word = words.next().ok_or_else(|| {
            line.refused(format!(
                "the face has {corners} corners, but only {number} are listed"
            ))
        })?;
        let corner = word
            .parse::<u32>()
            .ok()
            .filter(|&v| (v as usize) < vertices);
        let corner = corner.ok_or_else(|| {
            let word: String = word.chars().take(40).collect();
            line.refused(format!(
                "corner `{word}` is none of the {vertices} vertices, counted from 0"
            ))
        })?;
        ends = match ends {
            None => Some((corner, None)),
            Some((start, None)) => Some((start, Some(corner))),
            Some((start, Some(last))) => {
                triangles.push([start, last, corner]);
                Some((start, Some(corner)))
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mesh, String> {
        parse(Path::new("a.off"), text.as_bytes()).map_err(|error| error.to_string())
    }

    const SQUARE: &str = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n";

    #[test]
    fn headers_may_be_glued_to_the_counts() {
        let triangles = vec![[0, 1, 2], [0, 2, 3]];
        for header in [
            "OFF\n4 1 0\n",
            "OFF4 1 0\n",
            "OFF 4 1 0\r\n",
            "\u{feff}# made\nOFF # a\n\n4 1\n",
        ] {
            let mesh = read(&format!("{header}{SQUARE}4 0 1 2 3")).unwrap();
            assert_eq!(mesh.triangles, triangles, "{header}");
            assert_eq!(mesh.vertices[2], [1.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn polygons_are_fans_and_what_follows_is_not_read() {
        let text = "COFF\n5 3 0\n0 0 0 255 0 0 1\n1 0 0\n2 1 0\n1 2e0 0\n0 1 0\n5 0 1 2 3 4 0.5 0.5 0.5\n2 0 1\n3 4 2 0\n";
        let mesh = read(text).unwrap();
        assert_eq!(mesh.triangles, [[0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 2, 0]]);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, part) in [
            ("", "line 1: the file ends before the word `OFF`"),
            ("PLY\n", "line 1: a file of this format starts"),
            ("OFF BINARY\n", "binary"),
            ("OFF\n", "line 2: the file ends before the numbers"),
            ("OFF\n3 x 0\n", "line 2: `3 x 0` has no number of faces"),
            ("OFF\n-3 1 0\n", "no number of vertices"),
            (
                "OFF\n99999999999 1 0\n0 0 0\n",
                "line 2: 99999999999 vertices and 1 faces do not fit",
            ),
            ("OFF\n18446744073709551615 9 0\n", "do not fit"),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 nan\n3 0 1 2\n",
                "line 5: `nan` is no finite",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 1e39\n3 0 1 2\n",
                "line 5: `1e39` is no finite",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 100000\n3 0 1 2\n",
                "line 5: a vertex needs three",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n",
                "line 6: corner `3` is none of the 3",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 -1\n",
                "line 6: corner `-1`",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n9 0 1 2\n",
                "line 6: the face has 9 corners, but only 3",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n0 1 2 0\n",
                "line 6: `0` is no number of corners",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n# 1 0 0\n0 1 0 00000\n3 0 1 2\n",
                "ends before face 0 of 1",
            ),
            (
                "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n3 0 1 2\n",
                "line 7: text after 3 vertices",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let error = parse(Path::new("a.off"), b"OFF\n1 0 0\n0 \xff 0\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 3: the text is not UTF-8"), "{error}");
    }
}
