//! Rule: the files of a crate do not import each other in a circle.
//!
//! A file imports another if a path in it leads to an item that the other defines, through however many
//! re-exports. Declaring a module and re-exporting what is below it are no imports. Paths in code under
//! `#[cfg(test)]` do not count.

mod collect;
mod resolve;

use std::collections::BTreeMap;

use pathfinding::directed::strongly_connected_components::strongly_connected_components;

use super::finding::Finding;
use super::source::RustFile;
use resolve::Target;

/// For each file, the files it imports, with the first line that does so.
type Imports<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// `roots` are the root files of all targets.
pub(super) fn check(roots: &[&str], files: &[RustFile]) -> Vec<Finding> {
    let files = files
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let targets = roots
        .iter()
        .map(|root| imports(&collect::target(root, &files)));
    targets.flat_map(|imports| circles(&imports)).collect()
}

fn imports<'a>(target: &Target<'a>) -> Imports<'a> {
    let mut imports = Imports::new();
    for reference in &target.references {
        let Some(module) = target.defining_module(reference) else {
            continue;
        };
        let (from, to) = (target.file(reference.module), target.file(module));
        if from != to {
            let line = imports.entry(from).or_default().entry(to);
            line.or_insert(reference.line);
        }
    }
    imports
}

fn circles(imports: &Imports) -> Vec<Finding> {
    let files: Vec<&str> = imports.keys().copied().collect();
    let components = strongly_connected_components(&files, |file| -> Vec<&str> {
        let imported = imports.get(file).into_iter().flatten();
        imported.map(|(to, _)| *to).collect()
    });
    let mut findings = Vec::new();
    for members in components.iter().filter(|members| members.len() > 1) {
        for file in members {
            let imported = imports.get(file).into_iter().flatten();
            for (to, line) in imported.filter(|(to, _)| members.contains(to)) {
                let message = format!("imports {to} in a circle of {} files", members.len());
                findings.push(Finding::new(file, *line, message));
            }
        }
    }
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::super::source::rust_files;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = rust_files(files);
        let edge = |finding: Finding| {
            let to = finding.message.split(' ').nth(1).unwrap_or_default();
            format!("{}:{} -> {to}", finding.path, finding.line)
        };
        check(&["src/lib.rs"], &files)
            .into_iter()
            .map(edge)
            .collect()
    }

    #[test]
    fn a_parent_that_declares_and_re_exports_is_no_part_of_a_circle() {
        let files = [
            (
                "src/lib.rs",
                "mod a;\npub mod b;\npub use a::A;\npub(crate) use b::deep::*;\n",
            ),
            ("src/a.rs", "use crate::B;\npub struct A(B);\n"),
            ("src/b/mod.rs", "pub(crate) mod deep;\n"),
            ("src/b/deep.rs", "pub struct B;\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn a_parent_that_uses_a_child_that_uses_the_parent_is_one() {
        let parent = "mod a;\npub use a::A;\npub struct P;\nfn f(_: A) {}\n";
        let circle = ["src/a.rs:1 -> src/lib.rs", "src/lib.rs:4 -> src/a.rs"];
        assert_eq!(
            found(&[
                ("src/lib.rs", parent),
                ("src/a.rs", "use super::P;\npub struct A(P);\n")
            ]),
            circle
        );
        let child = "pub struct A(super::P);\n";
        assert_eq!(
            found(&[("src/lib.rs", parent), ("src/a.rs", child)]),
            circle
        );
        let child = "use super::*;\npub struct A;\nimpl A { fn f() -> P { vec![P] } }\n";
        let all = found(&[("src/lib.rs", parent), ("src/a.rs", child)]);
        assert_eq!(
            all,
            ["src/a.rs:3 -> src/lib.rs", "src/lib.rs:4 -> src/a.rs"]
        );
        let parent = "mod a;\npub use a::A;\npub struct P;\n";
        assert_eq!(
            found(&[("src/lib.rs", parent), ("src/a.rs", child)]),
            [""; 0]
        );
    }

    #[test]
    fn an_import_counts_for_the_file_that_defines_the_item() {
        let files = [
            (
                "src/lib.rs",
                "mod a;\nmod b;\nmod c;\npub use b::{B as Renamed, other};\n",
            ),
            (
                "src/a.rs",
                "use crate::Renamed;\npub fn a(_: Renamed) { crate::other::<u8>() }\n",
            ),
            (
                "src/b.rs",
                "pub use crate::c::B;\nuse super::a::{self};\npub fn other<T>() { a::a(B) }\n",
            ),
            ("src/c.rs", "pub struct B;\n"),
        ];
        assert_eq!(
            found(&files),
            ["src/a.rs:2 -> src/b.rs", "src/b.rs:3 -> src/a.rs"]
        );
    }

    #[test]
    fn circles_of_three_and_paths_within_macros_are_found() {
        let files = [
            ("src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);\n"),
            (
                "src/b.rs",
                "pub struct B;\nimpl B { fn f() { println!(\"{}\", super::c::f()) } }\n",
            ),
            (
                "src/c.rs",
                "pub fn f() -> u8 { fn g(_: crate::a::A) {} 0 }\n",
            ),
        ];
        assert_eq!(
            found(&files),
            [
                "src/a.rs:1 -> src/b.rs",
                "src/b.rs:2 -> src/c.rs",
                "src/c.rs:1 -> src/a.rs"
            ]
        );
    }

    #[test]
    fn tests_inline_modules_and_other_crates_are_no_circles() {
        let files = [
            (
                "src/lib.rs",
                "mod a;\nmod b { pub mod c; pub struct B; }\n#[path = \"odd.rs\"]\nmod d;\n",
            ),
            (
                "src/a.rs",
                "pub struct A;\n#[cfg(test)]\nmod tests { use crate::d::D; }\n",
            ),
            (
                "src/b/c.rs",
                "use super::B;\nuse std::{fmt, io::Read};\nuse ::b::x;\n",
            ),
            ("src/odd.rs", "use crate::a::A;\npub struct D(A);\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
        let files = [
            (
                "src/lib.rs",
                "#[path = \"odd.rs\"]\nmod d;\nmod b { pub mod c; }\n",
            ),
            ("src/b/c.rs", "pub struct C(crate::d::D);\n"),
            (
                "src/odd.rs",
                "use crate::b::c::C;\npub struct D(Option<C>);\n",
            ),
        ];
        assert_eq!(
            found(&files),
            ["src/b/c.rs:1 -> src/odd.rs", "src/odd.rs:1 -> src/b/c.rs"]
        );
    }
}
