//! Rule: a relative link in a Markdown file leads to a file of the repository.

use super::finding::Finding;
use super::source::File;

pub(super) fn check(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let leads = resolve(folder, path).is_some_and(|path| {
                // A page of the book may be linked as it will be published.
                exists(&path)
                    || path
                        .strip_suffix(".html")
                        .is_some_and(|p| exists(&format!("{p}.md")))
            });
            if !leads {
                findings.push(Finding::new(
                    &file.path,
                    number + 1,
                    format!("the link `{target}` leads nowhere"),
                ));
            }
        }
    }
    findings
}

/// Targets of `[text](target)`, `![text](target)` and `[name]: target`, outside of code spans.
fn targets(line: &str) -> Vec<String> {
    let mut plain = String::new();
    for (number, part) in line.split('`').enumerate() {
        plain.push_str(if number % 2 == 0 { part } else { "code" });
    }
    let address = |text: &str| {
        let text = text.trim_start();
        let end = if let Some(inner) = text.strip_prefix('<') {
            return inner.split('>').next().unwrap_or_default().to_owned();
        } else {
            text.find([' ', ')', '\t']).unwrap_or(text.len())
        };
        text[..end].to_owned()
    };
    let mut all: Vec<String> = plain.split("](").skip(1).map(address).collect();
    if let Some(rest) = plain.trim_start().strip_prefix('[')
        && let Some((name, target)) = rest.split_once("]: ")
        && !name.contains(']')
        && !name.starts_with('^')
    {
        all.push(address(target));
    }
    all
}

/// The path from the root; `None` if it leads out of the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let file = File {
            path: "docs/src/a.md".into(),
            text: text.into(),
        };
        let there = ["docs/src/b.md", "README.md", "docs/src", "docs/src/i.svg"];
        check(&file, &|path| there.contains(&path))
            .into_iter()
            .map(|f| f.to_string())
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[b](b.md) ![i](i.svg \"title\") [r](../../README.md#part) [b](b.html)\n\
                    [w](https://x.org/y) [m](mailto:a@b.c) [here](#part)\n[b]: b.md\n[^1]: a note\n\
                    `[x](no.md)`\n```\n[x](no.md)\n```\n";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        assert_eq!(
            found("x\n[c](c.md)\n"),
            ["docs/src/a.md:2: the link `c.md` leads nowhere"]
        );
        for bad in [
            "[o](../../../out.md)",
            "[a](/b.md)",
            "[r]: no.md",
            "[s](<no file.md>)",
        ] {
            assert_eq!(found(bad).len(), 1, "{bad}");
        }
    }
}
