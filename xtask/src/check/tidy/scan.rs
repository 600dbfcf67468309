//! A small scanner of Rust text: blanks comments, strings and characters, so that the rules see code
//! only, and marks the lines of items under `#[cfg(test)]`.

use std::path::{Path, PathBuf};

/// What the rules need to know of a file.
pub(super) struct Scan {
    /// The text with comments, strings and characters blanked; line for line the same.
    pub(super) code: Vec<String>,
    /// Whether the line belongs to an item under `#[cfg(test)]`.
    pub(super) test: Vec<bool>,
}

impl Scan {
    pub(super) fn new(text: &str) -> Self {
        let blanked = blank(text);
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let test = test_lines(&code);
        Self { code, test }
    }

    /// Files of the modules declared as `#[cfg(test)] mod name;` in the file at `path`.
    pub(super) fn test_modules(&self, path: &str) -> Vec<PathBuf> {
        let path = Path::new(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().unwrap_or_default();
        let folder = match stem.to_str() {
            Some("lib" | "main" | "mod") => folder.to_path_buf(),
            _ => folder.join(stem),
        };
        let declared = self
            .code
            .iter()
            .zip(&self.test)
            .filter(|(_, test)| **test)
            .filter_map(|(line, _)| {
                let line = line.trim().strip_suffix(';')?;
                line.rsplit_once("mod ").map(|(_, name)| name.trim())
            });
        declared
            .flat_map(|name| {
                [
                    folder.join(format!("{name}.rs")),
                    folder.join(name).join("mod.rs"),
                ]
            })
            .collect()
    }
}

/// Replaces everything that is not code by spaces.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(
            chars[at..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
        at = end;
    }
    out
}

/// The end of the comment, string or character that begins at `at`; `at` if none begins there.
fn skip(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let after_word = at > 0 && word(chars[at - 1]);
    match chars[at] {
        '/' if next(1) == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next(1) == Some('*') => block_comment(chars, at),
        '"' => string(chars, at + 1),
        'r' | 'b' | 'c' if !after_word => {
            let mut quote = at + 1;
            if matches!(chars[at], 'b' | 'c') && next(1) == Some('r') {
                quote += 1;
            }
            let raw = chars[quote - 1] == 'r';
            let hashes = chars[quote.min(chars.len())..]
                .iter()
                .take_while(|c| **c == '#')
                .count();
            match chars.get(quote + hashes) {
                Some('"') if raw => raw_string(chars, quote + hashes + 1, hashes),
                Some('"') if hashes == 0 => string(chars, quote + 1),
                Some('\'') if hashes == 0 && chars[at] == 'b' => {
                    character(chars, quote).unwrap_or(at)
                }
                _ => at,
            }
        }
        '\'' => character(chars, at).unwrap_or(at),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| stop(*c))
        .map_or(chars.len(), |n| from + n)
}

fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string(chars: &[char], mut at: usize, hashes: usize) -> usize {
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

/// A character, as opposed to a lifetime.
fn character(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)) {
        ('\\', _) => {
            let end = find(chars, at + 3, |c| c == '\'' || c == '\n');
            (chars.get(end) == Some(&'\'')).then_some(end + 1)
        }
        (_, Some('\'')) => Some(at + 3),
        _ => None,
    }
}

/// Marks each item that follows `#[cfg(test)]`, up to its closing brace or semicolon.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut test = vec![false; code.len()];
    let mut line = 0;
    while line < code.len() {
        if !code[line].trim_start().starts_with("#[cfg(test)]") {
            line += 1;
            continue;
        }
        let end = item_end(code, line);
        test[line..=end].fill(true);
        line = end + 1;
    }
    test
}

/// The last line of the item with attributes from line `from` on.
fn item_end(code: &[String], from: usize) -> usize {
    let (mut braces, mut brackets) = (0_i32, 0_i32);
    for (number, line) in code.iter().enumerate().skip(from) {
        for c in line.chars() {
            match c {
                '{' => braces += 1,
                '}' => {
                    braces -= 1;
                    if braces <= 0 {
                        return number;
                    }
                }
                '[' | '(' => brackets += 1,
                ']' | ')' => brackets -= 1,
                ';' if braces == 0 && brackets == 0 => return number,
                _ => {}
            }
        }
    }
    code.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_remains() {
        for (text, expected) in [
            ("a // .unwrap()\nb", "a b"),
            ("a /* x /* y */ z */ b", "a b"),
            ("f(\"a \\\" b\", c)", "f( , c)"),
            ("r#\"a \" b\"# c", "c"),
            ("br\"x\" b\"y\" b'z' c\"w\" d", "d"),
            ("'a' '\\'' '\\u{7f}' x", "x"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("for_r # \"x\"", "for_r #"),
        ] {
            let code = blank(text);
            assert_eq!(
                code.split_whitespace().collect::<Vec<_>>().join(" "),
                expected,
                "{text}"
            );
            assert_eq!(code.chars().count(), text.chars().count(), "{text}");
        }
    }

    #[test]
    fn lines_are_kept_even_in_raw_strings() {
        let text = "a\nr\"\n}\n\"\nb";
        assert_eq!(blank(text).lines().count(), text.lines().count());
        assert_eq!(blank("\"no end\n"), "       \n");
    }

    #[test]
    fn test_items_end_at_their_brace_or_semicolon() {
        let text = "a\n#[cfg(test)]\nuse b;\nc\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    \
                    let s = r\"\n}\n\";\n    f([0; 2]);\n}\nd\n";
        let marked: Vec<usize> = Scan::new(text)
            .test
            .iter()
            .enumerate()
            .filter(|(_, t)| **t)
            .map(|(n, _)| n + 1)
            .collect();
        assert_eq!(marked, [2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn test_modules_are_found_where_rust_looks_for_them() {
        let scan = Scan::new("#[cfg(test)]\npub(crate) mod helper;\nmod other;\n");
        assert_eq!(
            scan.test_modules("a/src/lib.rs")[0],
            PathBuf::from("a/src/helper.rs")
        );
        let files = scan.test_modules("a/src/deep.rs");
        assert_eq!(
            files,
            [
                PathBuf::from("a/src/deep/helper.rs"),
                PathBuf::from("a/src/deep/helper/mod.rs")
            ]
        );
    }
}
