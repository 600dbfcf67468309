//! Rules: a file holds one concept and a function does one thing, so both are short. Tests do not count.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature};

use super::finding::Finding;
use super::source::RustFile;

const MOST: usize = 400;
const MOST_IN_TESTS: usize = 800;
const MOST_OF_FUNCTION: usize = 80;

/// Functions that may be longer: tables of operation codes read best in one piece.
const LONG_FUNCTIONS: [(&str, &str); 1] =
    [("crates/nac-pytorch/src/weights/pickle/machine.rs", "step")];

pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let most = if file.test_only { MOST_IN_TESTS } else { MOST };
    let mut functions = Functions {
        file,
        findings: Vec::new(),
    };
    if file.lines > most {
        functions.findings.push(Finding::new(
            &file.path,
            0,
            format!("{} lines, at most {most}: split it", file.lines),
        ));
    }
    if !file.test_only {
        functions.visit_file(&file.syntax);
    }
    functions.findings
}

struct Functions<'a> {
    file: &'a RustFile,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &Signature, body: &Block) {
        let (first, last) = (signature.span().start().line, body.span().end().line);
        let lines = last + 1 - first;
        let name = signature.ident.to_string();
        let allowed = LONG_FUNCTIONS.contains(&(self.file.path.as_str(), name.as_str()));
        if lines > MOST_OF_FUNCTION && !allowed {
            let message =
                format!("`{name}` has {lines} lines, at most {MOST_OF_FUNCTION}: split it");
            self.findings
                .push(Finding::new(&self.file.path, first, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::rust_files;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&rust_files(&[(path, text)])[0]);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn code_counts_and_tests_do_not() {
        let code = "const A: u8 = 0;\n".repeat(400);
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "const B: u8 = 0;\n".repeat(500)
        );
        assert_eq!(found("a.rs", &code), [""; 0]);
        assert_eq!(found("a.rs", &(code.clone() + &tests)), [""; 0]);
        let all = found("a.rs", &(code + "const C: u8 = 0;\n" + &tests));
        assert_eq!(all, ["a.rs: 401 lines, at most 400: split it"]);
    }

    #[test]
    fn files_of_tests_may_be_longer() {
        let line = "const A: u8 = 0;\n";
        assert_eq!(found("a/tests/b.rs", &line.repeat(800)), [""; 0]);
        assert_eq!(found("a/tests/b.rs", &line.repeat(801)).len(), 1);
    }

    #[test]
    fn long_functions_are_named() {
        let function =
            |lines: usize| format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        let method = |lines: usize| format!("impl A {{\n    /// Text.\n{}}}\n", function(lines));
        assert_eq!(found("a.rs", &(function(80) + &method(80))), [""; 0]);
        assert_eq!(
            found("a.rs", &(function(81) + &method(82))),
            [
                "a.rs:1: `long` has 81 lines, at most 80: split it",
                "a.rs:84: `long` has 82 lines, at most 80: split it"
            ]
        );
        assert_eq!(found("a/tests/b.rs", &function(81)), [""; 0]);
    }
}
