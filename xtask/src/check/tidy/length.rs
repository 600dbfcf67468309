//! Rule: a file holds one concept, so it is short. Items under `#[cfg(test)]` do not count.

use super::{Finding, RustFile};

const MOST: usize = 400;
const MOST_IN_TESTS: usize = 800;

pub(super) fn check(file: &RustFile) -> Option<Finding> {
    let (lines, most) = if file.test_only {
        (file.scan.code.len(), MOST_IN_TESTS)
    } else {
        (file.scan.test.iter().filter(|test| !**test).count(), MOST)
    };
    (lines > most).then(|| {
        Finding::new(
            file.path,
            0,
            format!("{lines} lines, at most {most}: split it"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::rust_file;
    use super::*;

    #[test]
    fn code_counts_and_tests_do_not() {
        let code = "a();\n".repeat(400);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "b();\n".repeat(500));
        assert_eq!(check(&rust_file("a.rs", &code)), None);
        assert_eq!(check(&rust_file("a.rs", &(code.clone() + &tests))), None);
        let found = check(&rust_file("a.rs", &(code + "c();\n" + &tests))).unwrap();
        assert!(
            found.message.starts_with("401 lines, at most 400"),
            "{found}"
        );
    }

    #[test]
    fn files_of_tests_may_be_longer() {
        assert_eq!(
            check(&rust_file("a/tests/b.rs", &"x();\n".repeat(800))),
            None
        );
        assert!(check(&rust_file("a/tests/b.rs", &"x();\n".repeat(801))).is_some());
    }
}
