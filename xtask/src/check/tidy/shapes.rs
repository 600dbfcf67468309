//! Rule: every public `forward*`, and every `forward*` of a trait, has a section `# Shapes`.

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItemFn, ItemFn, Lit, Meta, Signature, TraitItemFn, Visibility};

use super::finding::Finding;
use super::source::RustFile;

pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let mut forwards = Forwards {
        path: &file.path,
        findings: Vec::new(),
    };
    if !file.test_only {
        forwards.visit_file(&file.syntax);
    }
    forwards.findings
}

struct Forwards<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Forwards<'_> {
    fn public(&mut self, signature: &Signature, attributes: &[Attribute]) {
        let name = signature.ident.to_string();
        if name.starts_with("forward") && !attributes.iter().any(is_shapes) {
            let line = signature.ident.span().start().line;
            let message = format!("`{name}` has no `# Shapes` section");
            self.findings.push(Finding::new(self.path, line, message));
        }
    }
}

impl<'ast> Visit<'ast> for Forwards<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if matches!(item.vis, Visibility::Public(_)) {
            self.public(&item.sig, &item.attrs);
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if matches!(item.vis, Visibility::Public(_)) {
            self.public(&item.sig, &item.attrs);
        }
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.public(&item.sig, &item.attrs);
        visit::visit_trait_item_fn(self, item);
    }
}

/// Whether the attribute is the line `/// # Shapes`.
fn is_shapes(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
        && matches!(&attribute.meta, Meta::NameValue(meta) if matches!(&meta.value,
            Expr::Lit(literal) if matches!(&literal.lit,
                Lit::Str(text) if text.value().trim() == "# Shapes")))
}

#[cfg(test)]
mod tests {
    use super::super::source::rust_files;
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let findings = check(&rust_files(&[("a.rs", text)])[0]);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn public_forwards_need_the_section() {
        let good = "impl A {\n    /// Does.\n    ///\n    /// # Shapes\n    /// `[b, d]`\n    \
                    #[must_use]\n    pub fn forward(&self) {}\n}\n";
        assert_eq!(found(good), [0; 0]);
        assert_eq!(
            found("impl A {\n    /// Does.\n    pub fn forward_all(&self) {}\n}\n"),
            [3]
        );
        assert_eq!(found("/// # Shapes\nstruct B;\npub fn forward() {}\n"), [3]);
    }

    #[test]
    fn private_forwards_and_implementations_do_not() {
        for text in [
            "impl A {\n    fn forward(&self) {}\n    pub(crate) fn forward_x() {}\n}\n",
            "impl Trait for A {\n    fn forward(&self) {}\n}\n",
            "#[cfg(test)]\nmod tests {\n    pub fn forward() {}\n}\n",
            "// pub fn forward() {}\nconst S: &str = \"\npub fn forward() {}\n\";\n",
        ] {
            assert_eq!(found(text), [0; 0], "{text}");
        }
    }

    #[test]
    fn forwards_of_traits_do() {
        let text = "#[x]\npub trait Model: Send {\n    /// # Shapes\n    /// x\n    fn forward(&self);\n\n    \
                    /// None.\n    fn forward_twice(&self) {\n        if a {}\n    }\n}\nfn forward() {}\n";
        assert_eq!(found(text), [8]);
    }
}
