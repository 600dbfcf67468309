//! Rule: library code does not unwrap. A comment `// PANIC:` says why one place cannot fail.

use super::{Finding, RustFile};

pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let library = file.path.starts_with("crates/") && file.path.contains("/src/");
    if !library || file.test_only {
        return Vec::new();
    }
    let text: Vec<&str> = file.text.lines().collect();
    let lines = file
        .scan
        .code
        .iter()
        .enumerate()
        .filter(|(number, _)| !file.scan.test[*number]);
    let found = lines.filter_map(|(number, code)| {
        let call = if code.contains(".unwrap()") {
            ".unwrap()"
        } else if expects(code, text[number]) {
            ".expect(…)"
        } else {
            return None;
        };
        (!justified(&text, number)).then(|| {
            Finding::new(
                file.path,
                number + 1,
                format!("`{call}` in a library: give an error, or a `// PANIC:` reason"),
            )
        })
    });
    found.collect()
}

/// A call of `Option::expect` or `Result::expect`, known by the text it takes; parsers have an `expect` too.
fn expects(code: &str, text: &str) -> bool {
    let mut places = code
        .match_indices(".expect(")
        .map(|(at, call)| at + call.len());
    // Blanking keeps the number of characters, not of bytes.
    places.any(|at| {
        let before = code[..at].chars().count();
        let argument: String = text.chars().skip(before).collect();
        let literal = ["\"", "&format!(", "concat!(", "r\"", "r#\""]
            .iter()
            .any(|s| argument.starts_with(s));
        literal || argument.trim().is_empty()
    })
}

/// The line, or the comment right above its statement, says why.
fn justified(text: &[&str], number: usize) -> bool {
    let says = |line: &str| line.contains("// PANIC:");
    if says(text[number]) {
        return true;
    }
    // A statement may begin some lines above, as a chain of calls.
    let mut above = text[..number]
        .iter()
        .rev()
        .map(|line| line.trim())
        .take(8)
        .peekable();
    while above
        .next_if(|line| {
            line.starts_with('.')
                || !line.ends_with([';', '{', '}', ',']) && !line.starts_with("//")
        })
        .is_some_and(|line| !says(line))
    {}
    above.take_while(|line| line.starts_with("//")).any(says)
}

#[cfg(test)]
mod tests {
    use super::super::rust_file;
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&rust_file("crates/a/src/b.rs", text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn unwraps_are_found_in_code_only() {
        assert_eq!(
            found("fn f() {\n    a.unwrap();\n    b.expect(\"c\");\n}\n"),
            [2, 3]
        );
        assert_eq!(
            found("fn f() {\n    a.expect(\n        \"c\",\n    );\n}\n"),
            [2]
        );
        assert_eq!(
            found("/// a.unwrap()\n// b.unwrap()\nlet c = \".unwrap()\";\n"),
            [0; 0]
        );
        assert_eq!(
            found("a.unwrap_or(0);\nself.expect(Token::End)?;\n"),
            [0; 0]
        );
        assert_eq!(
            found("#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap(); }\n}\n"),
            [0; 0]
        );
    }

    #[test]
    fn a_reason_is_accepted_on_the_line_or_above() {
        assert_eq!(found("a.unwrap(); // PANIC: never empty\n"), [0; 0]);
        assert_eq!(
            found("// PANIC: never empty,\n// as said above\nlet x = a.unwrap();\n"),
            [0; 0]
        );
        assert_eq!(
            found("// PANIC: never empty\nlet x = a\n    .b()\n    .unwrap();\n"),
            [0; 0]
        );
        assert_eq!(
            found("// PANIC: never empty\nlet y = 1;\nlet x = a.unwrap();\n"),
            [3]
        );
    }

    #[test]
    fn tests_benches_and_tools_may_unwrap() {
        for path in [
            "crates/a/tests/b.rs",
            "benches/b.rs",
            "xtask/src/b.rs",
            "crates/a/build.rs",
        ] {
            assert_eq!(check(&rust_file(path, "a.unwrap();\n")), [], "{path}");
        }
    }
}
