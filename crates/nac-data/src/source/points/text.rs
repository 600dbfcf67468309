//! Lists of points as text: `.xyz`, `.txt`, `.csv`, `.pts`.
//!
//! A line for each point with its coordinates first, separated by white space, commas or semicolons; what follows them
//! (normals, colours, intensity) is not read. The first line may be the number of points (`.pts`) or names of columns, of
//! which `x`, `y` and `z` are taken. `#` and `//` start comments.

use std::path::Path;

use super::lines::{Line, Lines};
use crate::DataError;

/// Parses a whole file; `path` is for errors.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<[f32; 3]>, DataError> {
    let mut lines = Lines::new(path, bytes);
    let mut points = Vec::new();
    let mut columns = [0, 1, 2];
    let mut declared = None;
    let mut first = true;
    while let Some(line) = lines.next()? {
        if std::mem::take(&mut first) {
            let words: Vec<&str> = words(&line).collect();
            if let [word] = words[..] {
                declared = word.parse::<usize>().ok();
            } else if let Some(named) = named(&words) {
                columns = named;
                continue;
            }
            if declared.is_some() {
                continue;
            }
        }
        points.push(point(&line, columns)?);
    }
    match declared {
        Some(count) if count != points.len() => Err(lines.refused(format!(
            "the file declares {count} points and holds {}",
            points.len()
        ))),
        _ if points.is_empty() => Err(lines.refused("there are no points".into())),
        _ => Ok(points),
    }
}

fn words<'a>(line: &Line<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    line.text
        .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .filter(|word| !word.is_empty())
}

/// Columns of `x`, `y` and `z`, if all are there.
fn named(words: &[&str]) -> Option<[usize; 3]> {
    let place = |name: &str| {
        let is_name = |word: &&str| word.trim_matches('"').eq_ignore_ascii_case(name);
        words.iter().position(is_name)
    };
    Some([place("x")?, place("y")?, place("z")?])
}

fn point(line: &Line<'_>, columns: [usize; 3]) -> Result<[f32; 3], DataError> {
    let mut point = [None; 3];
    let last = columns.into_iter().max().unwrap_or_default();
    for (column, word) in words(line).enumerate().take(last + 1) {
        if let Some(axis) = columns.iter().position(|&c| c == column) {
            point[axis] = Some(line.coordinate(word)?);
        }
    }
    match point {
        [Some(x), Some(y), Some(z)] => Ok([x, y, z]),
        _ => Err(line.refused("a point needs three coordinates".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<[f32; 3]>, String> {
        parse(Path::new("a.xyz"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn separators_and_headers_vary() {
        let points = vec![[1.0, -2.5, 3.0], [0.0, 0.25, 60.0]];
        for text in [
            "1 -2.5 3\n0 .25 6e1\n",
            "# made by hand\n1,-2.5,3,0,0,1\r\n0,.25,60,1,0,0",
            "2\n1 -2.5 3 -127 10 20 30\n0 .25 60 -127 1 2 3\n",
            "z;y;x\n3;-2.5;1\n60;.25;0\n",
            "label,\"X\",Y,Z\n7,1,-2.5,3\n7,0,0.25,60\n",
        ] {
            assert_eq!(read(text).unwrap(), points, "{text}");
        }
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, part) in [
            ("", "no points"),
            ("# nothing\n", "line 1: there are no points"),
            ("1 2 3\n4 5\n", "line 2: a point needs three"),
            ("1 2 3\n\n4 5 inf\n", "line 3: `inf` is no finite"),
            ("a b c\n1 2 3\n", "line 1: `a` is no finite"),
            (
                "3\n1 2 3\n4 5 6\n",
                "line 3: the file declares 3 points and holds 2",
            ),
            ("18446744073709551615\n1 2 3\n", "holds 1"),
            ("x y z\n", "no points"),
            ("q,x,y,z\n1,2,3\n", "line 2: a point needs three"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
