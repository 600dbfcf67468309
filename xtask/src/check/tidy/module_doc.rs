//! Rule: every Rust file says at its top what it is.

use syn::{Expr, Lit, Meta};

use super::finding::Finding;
use super::source::RustFile;

pub(super) fn check(file: &RustFile) -> Option<Finding> {
    let mut documentation = file
        .syntax
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"));
    let says = documentation.next().is_some_and(|first| match &first.meta {
        Meta::NameValue(meta) => match &meta.value {
            Expr::Lit(literal) => {
                matches!(&literal.lit, Lit::Str(text) if !text.value().trim().is_empty())
            }
            _ => true,
        },
        _ => false,
    });
    (!says).then(|| Finding::new(&file.path, 1, "no `//!` documentation at the top"))
}

#[cfg(test)]
mod tests {
    use super::super::source::rust_files;
    use super::*;

    #[test]
    fn documentation_comes_before_code() {
        for good in [
            "//! What this is.\nfn f() {}\n",
            "// Licence.\n\n#![allow(x)]\n//! What this is.\n",
            "#![doc = include_str!(\"x.md\")]\n",
        ] {
            assert_eq!(check(&rust_files(&[("a.rs", good)])[0]), None, "{good}");
        }
        for bad in [
            "fn f() {}\n",
            "",
            "//!\nfn f() {}\n",
            "/// Item.\nfn f() {}\n",
        ] {
            assert!(check(&rust_files(&[("a.rs", bad)])[0]).is_some(), "{bad}");
        }
    }
}
