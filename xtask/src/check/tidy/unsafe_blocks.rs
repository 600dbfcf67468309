//! Rule: CONTRIBUTING.md lists every file with `unsafe` blocks, how many there are, and why they are sound.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::source::{File, RustFile};

pub(super) const LIST: &str = "CONTRIBUTING.md";

pub(super) fn check(list: &File, files: &[RustFile]) -> Vec<Finding> {
    let listed = listed(&list.text);
    let counted: BTreeMap<&str, usize> = files
        .iter()
        .map(|file| (file.path.as_str(), count(&file.syntax)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let paths: BTreeSet<&str> = listed.keys().chain(counted.keys()).copied().collect();
    let of = |counts: &BTreeMap<&str, usize>, path: &str| counts.get(path).copied().unwrap_or(0);
    paths
        .into_iter()
        .map(|path| (path, of(&counted, path), of(&listed, path)))
        .filter(|(_, counted, listed)| counted != listed)
        .map(|(path, counted, listed)| {
            let message = format!("{counted} `unsafe` blocks, but {LIST} lists {listed}");
            Finding::new(path, 0, message)
        })
        .collect()
}

/// Rows `` | `path.rs` | count | reason | `` of the list.
fn listed(text: &str) -> BTreeMap<&str, usize> {
    let row = |line| {
        let mut cells = str::split(line, '|').skip(1).map(str::trim);
        let path = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let count = cells.next()?.parse().ok()?;
        cells.next().filter(|reason| !reason.is_empty())?;
        path.ends_with(".rs").then_some((path, count))
    };
    text.lines().filter_map(row).collect()
}

/// Blocks and implementations that are `unsafe`; those that a macro writes count once.
fn count(file: &syn::File) -> usize {
    let mut counter = Counter(0);
    counter.visit_file(file);
    counter.0
}

struct Counter(usize);

impl<'ast> Visit<'ast> for Counter {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.0 += 1;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.0 += usize::from(item.unsafety.is_some());
        visit::visit_item_impl(self, item);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.0 += in_tokens(call.tokens.clone());
    }
}

fn in_tokens(tokens: TokenStream) -> usize {
    let (mut count, mut after_unsafe) = (0, false);
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            count += usize::from(after_unsafe && group.delimiter() == Delimiter::Brace);
            count += in_tokens(group.stream());
        }
        after_unsafe = matches!(&token, TokenTree::Ident(word) if word == "unsafe");
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::source::{file, rust_files};
    use super::*;

    const TEXT: &str = "unsafe impl A for B {\n    unsafe fn f() { unsafe { g() } }\n}\n\
                        macro_rules! m { () => { fn h() { unsafe { g() } } } }\n";

    fn found(list: &str) -> Vec<String> {
        let files = rust_files(&[("a/b.rs", TEXT), ("c.rs", "// unsafe { }\n")]);
        let findings = check(&file(LIST, list), &files);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_list_that_agrees_passes() {
        assert_eq!(
            found("| file | blocks | why |\n|---|---|---|\n| `a/b.rs` | 3 | x |\n"),
            [""; 0]
        );
    }

    #[test]
    fn what_the_list_does_not_say_is_found() {
        let none = "a/b.rs: 3 `unsafe` blocks, but CONTRIBUTING.md lists 0";
        assert_eq!(found(""), [none]);
        assert_eq!(found("| `a/b.rs` | 3 | |\n"), [none]);
        assert_eq!(
            found("| `a/b.rs` | 3 | x |\n| `c.rs` | 1 | x |\n"),
            ["c.rs: 0 `unsafe` blocks, but CONTRIBUTING.md lists 1"]
        );
    }
}
