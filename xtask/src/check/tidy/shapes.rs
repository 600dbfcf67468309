//! Rule: every public `forward*`, and every `forward*` of a trait, has a section `# Shapes`.

use super::{Finding, RustFile};

pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text: Vec<&str> = file.text.lines().collect();
    let mut blocks: Vec<bool> = Vec::new();
    let mut header = String::new();
    for (number, line) in file.scan.code.iter().enumerate() {
        let in_trait = blocks.last() == Some(&true);
        if let Some(name) = forward(line, in_trait)
            && !file.test_only
            && !file.scan.test[number]
            && !documented(&text[..number])
        {
            findings.push(Finding::new(
                file.path,
                number + 1,
                format!("`{name}` has no `# Shapes` section"),
            ));
        }
        for c in line.chars() {
            match c {
                '{' => {
                    let words: Vec<&str> = header.split_whitespace().collect();
                    blocks.push(words.iter().take(4).any(|word| *word == "trait"));
                    header.clear();
                }
                '}' => {
                    blocks.pop();
                    header.clear();
                }
                ';' => header.clear(),
                ']' if header.trim_start().starts_with("#[") => header.clear(),
                c => header.push(c),
            }
        }
        header.push(' ');
    }
    findings
}

/// The name of a function `forward*` declared on this line that the rule is about.
fn forward(line: &str, in_trait: bool) -> Option<&str> {
    let mut words = line.trim_start();
    let public = words
        .strip_prefix("pub ")
        .map(|rest| words = rest)
        .is_some();
    for qualifier in ["const ", "async "] {
        words = words.strip_prefix(qualifier).unwrap_or(words);
    }
    let rest = words.strip_prefix("fn ")?;
    let name = rest
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next()?;
    ((public || in_trait) && name.starts_with("forward")).then_some(name)
}

/// Whether the documentation right above has the section.
fn documented(above: &[&str]) -> bool {
    let lines = above.iter().rev().map(|line| line.trim());
    let mut documentation = lines.take_while(|line| {
        line.starts_with("///")
            || line.starts_with("//")
            || line.starts_with('#')
            || line.ends_with(")]")
    });
    documentation.any(|line| line.trim_start_matches('/').trim() == "# Shapes")
}

#[cfg(test)]
mod tests {
    use super::super::rust_file;
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&rust_file("a.rs", text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
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
        assert_eq!(
            found("impl A {\n    fn forward(&self) {}\n    pub(crate) fn forward_x() {}\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found("impl Trait for A {\n    fn forward(&self) {}\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found("#[cfg(test)]\nmod tests {\n    pub fn forward() {}\n}\n"),
            [0; 0]
        );
        assert_eq!(
            found("// pub fn forward() {}\nlet s = \"\npub fn forward() {}\n\";\n"),
            [0; 0]
        );
    }

    #[test]
    fn forwards_of_traits_do() {
        let text = "#[x]\npub trait Model: Send {\n    /// # Shapes\n    /// x\n    fn forward(&self);\n\n    \
                    /// None.\n    fn forward_twice(&self) {\n        if a {}\n    }\n}\nfn forward() {}\n";
        assert_eq!(found(text), [8]);
    }
}
