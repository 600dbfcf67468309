//! Reads the modules of a target, and the paths that occur in them, from the syntax trees of its files.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Expr, Item, ItemMod, ItemUse, Lit, Meta, UseTree, Visibility};

use super::super::source::{RustFile, module_files};
use super::resolve::{Module, Name, Path, Reference, Target};

type Files<'a> = BTreeMap<&'a str, &'a RustFile>;

/// The target whose root is the file at `root`.
pub(super) fn target<'a>(root: &str, files: &Files<'a>) -> Target<'a> {
    let mut collector = Collector {
        files,
        target: Target::default(),
        at: 0,
        inline: Vec::new(),
        folder_owner: String::new(),
    };
    if let Some((path, file)) = files.get_key_value(root) {
        collector.target.modules.push(Module {
            file: path,
            ..Module::default()
        });
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        collector.folder_owner = format!("{folder}/mod.rs");
        collector.visit_file(&file.syntax);
    }
    collector.target
}

struct Collector<'a, 'f> {
    files: &'f Files<'a>,
    target: Target<'a>,
    /// The module that is being read.
    at: usize,
    /// Names of the inline modules around it, within its file.
    inline: Vec<String>,
    /// The path that says where the file's modules lie: its own, or `folder/mod.rs` if it speaks for its folder.
    folder_owner: String,
}

impl<'a> Collector<'a, '_> {
    fn name(&mut self, name: String, what: Name) {
        let names = &mut self.target.modules[self.at].names;
        names.entry(name).or_default().push(what);
    }

    fn refer(&mut self, path: Path, line: usize, re_export: bool) {
        self.target.references.push(Reference {
            module: self.at,
            path,
            line,
            re_export,
        });
    }

    fn child(&mut self, name: &str, file: &'a str) -> usize {
        let child = self.target.modules.len();
        self.target.modules.push(Module {
            file,
            parent: self.at,
            ..Module::default()
        });
        self.name(name.to_owned(), Name::Module(child));
        child
    }

    fn import(&mut self, tree: &UseTree, mut path: Path, re_export: bool) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path, re_export);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone(), re_export);
                }
            }
            UseTree::Name(tree) => self.import_one(path, &tree.ident, &tree.ident, re_export),
            UseTree::Rename(tree) => self.import_one(path, &tree.ident, &tree.rename, re_export),
            UseTree::Glob(tree) => {
                let line = tree.star_token.spans[0].start().line;
                self.target.modules[self.at].globs.push(path.clone());
                self.refer(path, line, re_export);
            }
        }
    }

    fn import_one(
        &mut self,
        mut path: Path,
        item: &syn::Ident,
        name: &syn::Ident,
        re_export: bool,
    ) {
        let mut known_as = name.to_string();
        if item != "self" {
            path.push(item.to_string());
        } else if name == "self" {
            known_as = path.last().cloned().unwrap_or_default();
        }
        self.refer(path.clone(), item.span().start().line, re_export);
        self.name(known_as, Name::Import(path));
    }

    /// Paths in the arguments of a macro, which have no syntax tree.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(word) => {
                    if colons != 2 && !path.is_empty() {
                        self.refer(std::mem::take(&mut path), line, false);
                    }
                    colons = 0;
                    line = word.span().start().line;
                    path.push(word.to_string());
                }
                other => {
                    if !path.is_empty() {
                        self.refer(std::mem::take(&mut path), line, false);
                    }
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.refer(path, line, false);
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_, '_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(name) = name {
            self.name(name.to_string(), Name::Item);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let re_export = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, Path::new(), re_export);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let (name, at) = (item.ident.to_string(), self.at);
        if item.content.is_some() {
            self.at = self.child(&name, self.target.file(at));
            self.inline.push(name);
            visit::visit_item_mod(self, item);
            self.inline.pop();
        } else {
            let given = item.attrs.iter().find_map(path_attribute);
            let candidates = match &given {
                Some(path) => vec![beside(self.target.file(at), path)],
                None => module_files(&self.folder_owner, &self.inline, &name).to_vec(),
            };
            let files = self.files;
            let file = candidates
                .iter()
                .find_map(|path| files.get_key_value(path.as_str()));
            if let Some((path, file)) = file {
                let inline = std::mem::take(&mut self.inline);
                let owner = match given {
                    Some(_) => beside(path, "mod.rs"),
                    None => (*path).to_owned(),
                };
                let owner = std::mem::replace(&mut self.folder_owner, owner);
                self.at = self.child(&name, path);
                self.visit_file(&file.syntax);
                (self.inline, self.folder_owner) = (inline, owner);
            }
        }
        self.at = at;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let line = first.ident.span().start().line;
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.refer(names.collect(), line, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

/// The value of `#[path = "value"]`.
fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The path of a file relative to the folder of another.
fn beside(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => _ = parts.pop(),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
