//! The files that the rules read; of a Rust file, the syntax tree without the items under `#[cfg(test)]`.

use std::collections::BTreeSet;
use std::path::Path;

use syn::spanned::Spanned;
use syn::{Attribute, Item};

use super::finding::Finding;

/// A text file of the repository.
pub(super) struct File {
    /// Path from the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A file of Rust that parses.
pub(super) struct RustFile {
    /// Path from the root, with `/`.
    pub(super) path: String,
    /// Without items under `#[cfg(test)]`.
    pub(super) syntax: syn::File,
    /// Lines of the file without those of items under `#[cfg(test)]`.
    pub(super) lines: usize,
    /// The whole file is compiled for tests or benchmarks only.
    pub(super) test_only: bool,
    /// Where the files of `#[cfg(test)] mod name;` may be.
    test_modules: Vec<String>,
}

impl RustFile {
    fn parse(file: &File) -> Result<Self, Finding> {
        let mut syntax = syn::parse_file(&file.text).map_err(|error| {
            Finding::new(&file.path, error.span().start().line, error.to_string())
        })?;
        let mut removed = Removed::default();
        removed.strip(&mut syntax.items);
        let test_modules = removed
            .modules
            .iter()
            .flat_map(|name| module_files(&file.path, &[], name))
            .collect();
        Ok(Self {
            path: file.path.clone(),
            syntax,
            lines: file.text.lines().count() - removed.lines,
            test_only: file
                .path
                .split('/')
                .any(|part| part == "tests" || part == "benches"),
            test_modules,
        })
    }
}

/// Parses every Rust file; a file that does not parse is a finding.
pub(super) fn parse(files: &[File], findings: &mut Vec<Finding>) -> Vec<RustFile> {
    let mut parsed = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        match RustFile::parse(file) {
            Ok(file) => parsed.push(file),
            Err(finding) => findings.push(finding),
        }
    }
    let test_modules: BTreeSet<String> = parsed
        .iter()
        .flat_map(|file| file.test_modules.clone())
        .collect();
    for file in &mut parsed {
        file.test_only |= test_modules.contains(&file.path);
    }
    parsed
}

/// Where the file of `mod name;` may be, declared within the inline modules `inline` of the file at `path`.
pub(super) fn module_files(path: &str, inline: &[String], name: &str) -> [String; 2] {
    let path = Path::new(path);
    let mut folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    match path.file_stem().and_then(|stem| stem.to_str()) {
        None | Some("lib" | "main" | "mod") => {}
        Some(stem) => folder.push(stem),
    }
    folder.extend(inline);
    [format!("{name}.rs"), format!("{name}/mod.rs")]
        .map(|file| folder.join(file).to_string_lossy().into_owned())
}

#[derive(Default)]
struct Removed {
    lines: usize,
    modules: Vec<String>,
}

impl Removed {
    fn strip(&mut self, items: &mut Vec<Item>) {
        items.retain(|item| {
            let test = attributes(item).iter().any(is_cfg_test);
            if test {
                let span = item.span();
                self.lines += span.end().line + 1 - span.start().line;
                if let Item::Mod(module) = item
                    && module.content.is_none()
                {
                    self.modules.push(module.ident.to_string());
                }
            }
            !test
        });
        for item in items {
            if let Item::Mod(module) = item
                && let Some((_, items)) = &mut module.content
            {
                self.strip(items);
            }
        }
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(syn::ItemConst { attrs, .. })
        | Item::Enum(syn::ItemEnum { attrs, .. })
        | Item::Fn(syn::ItemFn { attrs, .. })
        | Item::Impl(syn::ItemImpl { attrs, .. })
        | Item::Macro(syn::ItemMacro { attrs, .. })
        | Item::Mod(syn::ItemMod { attrs, .. })
        | Item::Static(syn::ItemStatic { attrs, .. })
        | Item::Struct(syn::ItemStruct { attrs, .. })
        | Item::Trait(syn::ItemTrait { attrs, .. })
        | Item::Type(syn::ItemType { attrs, .. })
        | Item::Use(syn::ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}

#[cfg(test)]
pub(super) fn file(path: &str, text: &str) -> File {
    File {
        path: path.into(),
        text: text.into(),
    }
}

/// Paths and texts as parsed files.
#[cfg(test)]
pub(super) fn rust_files(files: &[(&str, &str)]) -> Vec<RustFile> {
    let files: Vec<File> = files.iter().map(|(path, text)| file(path, text)).collect();
    let mut findings = Vec::new();
    let parsed = parse(&files, &mut findings);
    assert_eq!(findings, []);
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_for_tests_are_removed_and_their_lines_not_counted() {
        let text = "fn a() {}\n#[cfg(test)]\nuse b;\nmod c {\n    #[cfg(test)]\n    fn d() {}\n    \
                    fn e() {}\n}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    const S: &str = \
                    r\"\n}\n\";\n}\n#[cfg(not(test))]\nfn f() {}\n";
        let found = &rust_files(&[("a.rs", text)])[0];
        assert_eq!(found.syntax.items.len(), 3);
        assert_eq!(found.lines, 6);
    }

    #[test]
    fn files_declared_for_tests_are_known_as_such() {
        let files = rust_files(&[
            ("a/src/lib.rs", "#[cfg(test)]\nmod helper;\nmod other;\n"),
            ("a/src/helper.rs", ""),
            ("a/src/other.rs", "#[cfg(test)]\nmod tests;\n"),
            ("a/src/other/tests.rs", ""),
            ("a/tests/b.rs", ""),
        ]);
        let tests: Vec<bool> = files.iter().map(|file| file.test_only).collect();
        assert_eq!(tests, [false, true, false, true, true]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let mut findings = Vec::new();
        assert!(parse(&[file("a.rs", "fn a() {}\nfn {}\n")], &mut findings).is_empty());
        assert!(findings[0].to_string().starts_with("a.rs:2: "));
    }
}
