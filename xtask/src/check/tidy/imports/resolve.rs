//! The modules of a target with the names in each, and where a path leads.

use std::collections::BTreeMap;

/// A library, program, test or benchmark: one tree of modules.
#[derive(Default)]
pub(super) struct Target<'a> {
    /// The first is the root.
    pub(super) modules: Vec<Module<'a>>,
    pub(super) references: Vec<Reference>,
}

#[derive(Default)]
pub(super) struct Module<'a> {
    pub(super) file: &'a str,
    /// The root is its own parent.
    pub(super) parent: usize,
    pub(super) names: BTreeMap<String, Vec<Name>>,
    /// Paths `a::b` of `use a::b::*`.
    pub(super) globs: Vec<Path>,
}

pub(super) type Path = Vec<String>;

/// What a name of a module stands for.
pub(super) enum Name {
    Item,
    Module(usize),
    Import(Path),
}

/// A path that occurs in a module.
pub(super) struct Reference {
    pub(super) module: usize,
    pub(super) path: Path,
    pub(super) line: usize,
    /// `pub use`, of any visibility.
    pub(super) re_export: bool,
}

#[derive(Clone, Copy)]
enum Found {
    /// An item, by the module that defines it.
    Item(usize),
    Module(usize),
}

/// Imports that lead to imports and so on, at most; bounds the search through names that import themselves.
const DEPTH: usize = 8;

impl<'a> Target<'a> {
    pub(super) fn file(&self, module: usize) -> &'a str {
        self.modules[module].file
    }

    /// The module that defines the item the path leads to; none for modules, for other crates, and for
    /// re-exports from below.
    pub(super) fn defining_module(&self, reference: &Reference) -> Option<usize> {
        match self.resolve(reference.module, &reference.path, DEPTH)? {
            Found::Item(module)
                if !(reference.re_export && self.is_below(module, reference.module)) =>
            {
                Some(module)
            }
            _ => None,
        }
    }

    fn is_below(&self, mut module: usize, ancestor: usize) -> bool {
        while module != 0 && module != ancestor {
            module = self.modules[module].parent;
        }
        module == ancestor
    }

    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module(0),
            _ => self.step(from, first, !rest.is_empty(), depth)?,
        };
        for (number, name) in rest.iter().enumerate() {
            match found {
                Found::Module(module) => {
                    found = self.step(module, name, number + 1 < rest.len(), depth)?;
                }
                // A variant or an associated item.
                Found::Item(_) => break,
            }
        }
        Some(found)
    }

    /// What `name` is in `module`; `within` if the path goes on.
    fn step(&self, module: usize, name: &str, within: bool, depth: usize) -> Option<Found> {
        match name {
            "self" => return Some(Found::Module(module)),
            "super" => return Some(Found::Module(self.modules[module].parent)),
            _ => {}
        }
        let depth = depth.checked_sub(1)?;
        let names = self.modules[module].names.get(name).into_iter().flatten();
        let all: Vec<Found> = names
            .filter_map(|name| match name {
                Name::Item => Some(Found::Item(module)),
                Name::Module(child) => Some(Found::Module(*child)),
                Name::Import(path) => self.resolve(module, path, depth),
            })
            .collect();
        let preferred = |found: &&Found| matches!(found, Found::Module(_)) == within;
        all.iter()
            .find(preferred)
            .or(all.first())
            .copied()
            .or_else(|| {
                let globs = self.modules[module].globs.iter();
                let mut through =
                    globs.filter_map(|path| match self.resolve(module, path, depth)? {
                        Found::Module(other) => self.step(other, name, within, depth),
                        Found::Item(_) => None,
                    });
                through.next()
            })
    }
}
