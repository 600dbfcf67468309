//! Rule: every Rust file says at its top what it is.

use super::{Finding, RustFile};

pub(super) fn check(file: &RustFile) -> Option<Finding> {
    let mut lines = file.text.lines().map(str::trim);
    let first = lines.find(|line| {
        let plain_comment = line.starts_with("//") && !line.starts_with("//!");
        let other_attribute = line.starts_with("#!") && !line.starts_with("#![doc");
        !(line.is_empty() || plain_comment || other_attribute)
    });
    let says = |line: &str| {
        let words = line.strip_prefix("//!").map(str::trim);
        words.is_some_and(|words| !words.is_empty()) || line.starts_with("#![doc")
    };
    (!first.is_some_and(says))
        .then(|| Finding::new(file.path, 1, "no `//!` documentation at the top"))
}

#[cfg(test)]
mod tests {
    use super::super::rust_file;
    use super::*;

    #[test]
    fn documentation_comes_before_code() {
        for good in [
            "//! What this is.\nfn f() {}\n",
            "// Licence.\n\n#![allow(x)]\n//! What this is.\n",
            "#![doc = include_str!(\"x.md\")]\n",
        ] {
            assert_eq!(check(&rust_file("a.rs", good)), None, "{good}");
        }
        for bad in [
            "fn f() {}\n//! Late.\n",
            "",
            "//!\nfn f() {}\n",
            "/// Item.\nfn f() {}\n",
        ] {
            assert!(check(&rust_file("a.rs", bad)).is_some(), "{bad}");
        }
    }
}
