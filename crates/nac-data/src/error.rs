//! The error of this crate: it names the operation and the place, that is the file with its
//! byte offset or line, the data set with the index, or both shapes.

use std::path::PathBuf;

/// What can go wrong while data are found, read, changed or put into batches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused a file operation; the text holds the operation and the path.
    #[error("{0}")]
    Io(#[from] std::io::Error),

    /// A binary file does not hold what its format promises.
    #[error("{}: at byte {offset}: {reason}", path.display())]
    CorruptFile {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is wrong or missing.
        offset: u64,
        /// What was expected and what was found.
        reason: String,
    },

    /// A file is not as it was written.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Both digests, and what to do.
        reason: String,
    },

    /// A text file does not hold what its format promises.
    #[error("{}: line {line}: {reason}", path.display())]
    CorruptLine {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What was expected and what was found.
        reason: String,
    },

    /// A text is not a ListOps expression.
    #[error("ListOps expression: at symbol {position}: {reason}")]
    Expression {
        /// Symbol (white-space separated word), counted from 0.
        position: usize,
        /// What was expected and what was found.
        reason: String,
    },

    /// A file does not have the published digest.
    #[error(
        "{}: {} is {found}, expected {expected}; move the file away and get it again",
        path.display(),
        digest_kind(expected)
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Published digest, in lower-case hexadecimal.
        expected: String,
        /// Digest of the file.
        found: String,
    },

    /// A data set is in none of the folders searched.
    #[error(
        "data set `{name}` was not found in any of:\n{}\n{instructions}",
        list(searched)
    )]
    NotFound {
        /// Data set.
        name: String,
        /// Folders searched, in order.
        searched: Vec<PathBuf>,
        /// How to get it.
        instructions: String,
    },

    /// No address gave the file.
    #[error(
        "`{name}` could not be downloaded:\n{}{}",
        bullets(attempts),
        below(instructions)
    )]
    Download {
        /// File or data set.
        name: String,
        /// One line for each address tried.
        attempts: Vec<String>,
        /// How to get it by hand; may be empty.
        instructions: String,
    },

    /// An archive entry was refused; nothing was unpacked.
    #[error("{}: entry `{entry}` refused: {reason}", archive.display())]
    UnsafeArchive {
        /// The archive.
        archive: PathBuf,
        /// Name of the entry as written in the archive.
        entry: String,
        /// Why it was refused.
        reason: String,
    },

    /// An archive could not be read to its end.
    #[error("{}: cannot unpack: {reason}", archive.display())]
    CorruptArchive {
        /// The archive.
        archive: PathBuf,
        /// What the reader said.
        reason: String,
    },

    /// Two shapes that must agree do not.
    #[error("{operation}: expected {expected}, found {found}")]
    Shape {
        /// What was being done.
        operation: String,
        /// Shape or kind that was expected.
        expected: String,
        /// Shape or kind that was found.
        found: String,
    },

    /// An index beyond the end of a data set.
    #[error("data set `{dataset}`: index {index} is out of range, it has {len} examples")]
    Index {
        /// Data set.
        dataset: String,
        /// Index asked for.
        index: usize,
        /// Number of examples.
        len: usize,
    },

    /// A class that is not below the number of classes.
    #[error("data set `{dataset}`: example {index} has class {class}, it must be below {classes}")]
    Class {
        /// Data set.
        dataset: String,
        /// Example.
        index: usize,
        /// Its class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },

    /// A name that is not known.
    #[error("unknown {kind} `{name}`; known: {}", known.join(", "))]
    UnknownName {
        /// What was named: `data set`, `transform`.
        kind: &'static str,
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },

    /// An impossible setting.
    #[error("{field}: {reason}")]
    Config {
        /// Dotted name of the setting, for example `data.listops.max_depth`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A worker thread of the loader ended without giving its batch.
    #[error("a loader worker panicked while it made batch {batch}")]
    Worker {
        /// Number of the batch within its epoch.
        batch: usize,
    },
}

/// Name of the digest that is written with so many digits.
pub(crate) fn digest_kind(digest: &str) -> &'static str {
    if digest.len() == 32 { "MD5" } else { "SHA-256" }
}

fn list(paths: &[PathBuf]) -> String {
    bullets(
        &paths
            .iter()
            .map(|p| p.display().to_string())
            .collect::<Vec<_>>(),
    )
}

/// The text on a separate line, if there is one.
fn below(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("\n{text}")
    }
}

fn bullets(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|l| format!("  - {l}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place() {
        let error = DataError::CorruptFile {
            path: "a/test_batch.bin".into(),
            offset: 3073,
            reason: "label 10, expected 0..=9".into(),
        };
        assert_eq!(
            error.to_string(),
            "a/test_batch.bin: at byte 3073: label 10, expected 0..=9"
        );
        let error = DataError::NotFound {
            name: "cifar10".into(),
            searched: vec!["x".into(), "y".into()],
            instructions: "do this".into(),
        };
        assert_eq!(
            error.to_string(),
            "data set `cifar10` was not found in any of:\n  - x\n  - y\ndo this"
        );
    }
}
