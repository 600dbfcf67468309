//! What all boxes of a resolved model have in common: a path, sizes, tensors, boxes inside.

use std::fmt::Write;

/// A saved tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Dotted name, that of the reference's `state_dict`.
    pub name: String,
    /// Sizes; none for a single number.
    pub shape: Vec<usize>,
    /// Whether it is trained; a tensor that is not is saved all the same.
    pub trained: bool,
    /// Name of the tensor that this one is, if a layer is used several times.
    pub shared_with: Option<String>,
}

impl ParameterSpec {
    /// Number of scalars.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a size is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor of one box, with its name below the box's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTensor {
    /// Name below the path of the box.
    pub name: &'static str,
    /// Sizes; none for a single number.
    pub shape: Vec<usize>,
    /// Whether it is trained.
    pub trained: bool,
}

/// A trained tensor of a box.
pub(super) fn trained(name: &'static str, shape: &[usize]) -> OwnTensor {
    OwnTensor {
        name,
        shape: shape.to_vec(),
        trained: true,
    }
}

/// A box of a resolved model.
pub trait Node {
    /// Dotted path of the parameters.
    fn path(&self) -> &str;

    /// What it is, with its sizes, on one line.
    fn describe(&self) -> String;

    /// Boxes inside, in the order in which an example goes through them.
    fn children(&self) -> Vec<&dyn Node> {
        Vec::new()
    }

    /// Tensors of this box alone.
    fn tensors(&self) -> Vec<OwnTensor> {
        Vec::new()
    }

    /// Path of the box whose tensors this one uses, if it has none itself.
    fn shares(&self) -> Option<&str> {
        None
    }

    /// Tensors of this box and of all boxes inside, under every name they are saved by.
    fn parameters(&self) -> Vec<ParameterSpec> {
        let mut all: Vec<_> = self
            .tensors()
            .into_iter()
            .map(|tensor| ParameterSpec {
                name: join(self.path(), tensor.name),
                shape: tensor.shape,
                trained: tensor.trained,
                shared_with: None,
            })
            .collect();
        for child in self.children() {
            all.extend(child.parameters());
        }
        if let Some(target) = self.shares() {
            for parameter in &mut all {
                let below = parameter.name.strip_prefix(self.path()).unwrap_or_default();
                parameter.shared_with = Some(format!("{target}{below}"));
            }
        }
        all
    }

    /// Number of trained scalars; those of a shared tensor belong to the box it is shared with.
    fn parameter_count(&self) -> usize {
        let all = self.parameters();
        let own = all.iter().filter(|p| p.trained && p.shared_with.is_none());
        own.map(ParameterSpec::len).sum()
    }
}

/// `name` below `path`; either may be empty.
pub(super) fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        (path, name) => format!("{path}.{name}"),
    }
}

/// The boxes of `node` down to `depth` levels below it, one on a line: path, description, number of trained scalars.
pub fn tree(node: &dyn Node, depth: usize) -> String {
    let mut text = String::new();
    write_tree(node, depth, 0, &mut text);
    text
}

fn write_tree(node: &dyn Node, depth: usize, level: usize, text: &mut String) {
    let (indent, path) = ("  ".repeat(level), node.path());
    let count = node.parameter_count();
    let _ = match node.shares() {
        Some(target) => writeln!(text, "{indent}{path}: shares {target}"),
        None => writeln!(text, "{indent}{path}: {} ({count})", node.describe()),
    };
    if level < depth && node.shares().is_none() {
        for child in node.children() {
            write_tree(child, depth, level + 1, text);
        }
    }
}
