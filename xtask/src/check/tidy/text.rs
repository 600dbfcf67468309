//! Rules for all text files: no path of one machine, no white space at line ends, TOML that can be read.

use super::finding::Finding;
use super::source::File;

/// Folders that exist on one machine only; a path in the repository must not begin with one.
const MACHINE: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];
/// Material outside the repository, known to one file only.
const OUTSIDE: &str = concat!("..", "/shared");
const KNOWS_OUTSIDE: &str = ".ci/run";
/// Files whose white space is ours; others may be recordings or data.
const OURS: [&str; 10] = [
    ".rs",
    ".toml",
    ".md",
    ".css",
    ".html",
    ".yml",
    ".sh",
    ".gitignore",
    ".ci/run",
    "Cargo.lock",
];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add =
        |line: usize, message: String| findings.push(Finding::new(&file.path, line, message));
    let ours = OURS.iter().any(|suffix| file.path.ends_with(suffix));
    for (number, line) in file.text.lines().enumerate() {
        if let Some(folder) = machine_path(line) {
            add(
                number + 1,
                format!("a path under {folder} exists on one machine only"),
            );
        }
        if line.contains(OUTSIDE) && file.path != KNOWS_OUTSIDE {
            add(
                number + 1,
                format!("only {KNOWS_OUTSIDE} may name {OUTSIDE}"),
            );
        }
        if ours && line.ends_with([' ', '\t', '\r']) {
            add(number + 1, "white space at the end of the line".into());
        }
    }
    if ours && !file.text.is_empty() && !file.text.ends_with('\n') {
        add(
            file.text.lines().count(),
            "no line end at the end of the file".into(),
        );
    }
    if file.path.ends_with(".toml")
        && let Err(error) = file.text.parse::<toml::Table>()
    {
        add(0, format!("not TOML: {}", error.to_string().trim_end()));
    }
    findings
}

/// An absolute path into a machine's folder. `https://x/work/` and `target/work/` are none.
fn machine_path(line: &str) -> Option<&'static str> {
    let begins = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~}>*".contains(c)))
    };
    MACHINE
        .into_iter()
        .find(|folder| line.match_indices(folder).any(|(at, _)| begins(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        check(&file)
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for folder in MACHINE {
            let line = format!("see `{folder}x/y`\n");
            let all = found("a.md", &line);
            assert!(all[0].starts_with("a.md:1: a path under"), "{all:?}");
            assert_eq!(
                found(
                    "a.md",
                    &format!("https://x.org{folder}y and target{folder}y\n")
                ),
                [""; 0]
            );
        }
    }

    #[test]
    fn only_one_file_knows_what_lies_outside() {
        let line = format!("ls {OUTSIDE}/x\n");
        assert_eq!(found("a.rs", &line).len(), 1);
        assert_eq!(found(".ci/run", &line), [""; 0]);
    }

    #[test]
    fn white_space_at_line_ends_is_found_in_our_files() {
        assert_eq!(
            found("a.rs", "a \nb\n"),
            ["a.rs:1: white space at the end of the line"]
        );
        assert_eq!(found("a.md", "a\t\nb").len(), 2);
        assert_eq!(found("data/a.tsv", "a \nb"), [""; 0]);
    }

    #[test]
    fn toml_must_parse() {
        assert_eq!(found("a.toml", "a = 1\n[b]\n"), [""; 0]);
        let all = found("a.toml", "a = \n");
        assert!(
            all.iter().any(|finding| finding.contains("not TOML")),
            "{all:?}"
        );
    }
}
