//! What can be wrong with settings and with the files they come from.

use std::path::{Path, PathBuf};

/// A setting that makes no sense, or a file of settings that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting has a value that makes no sense.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// Name of the setting, as in the configuration.
        name: String,
        /// Offending value.
        value: String,
        /// Why it is refused.
        reason: String,
    },
    /// A file of settings is not what it should be: unknown key, wrong type, bad syntax.
    #[error("{}:{line}:{column}: {reason}\n  | {source_line}", path.display())]
    Parse {
        /// The file, or a name for text that comes from none.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong.
        reason: String,
        /// The line itself.
        source_line: String,
    },
    /// A file of settings cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// Settings have no form as text.
    #[error("settings cannot be written: {reason}")]
    Write {
        /// Why.
        reason: String,
    },
}

impl ConfigError {
    /// The error with the key of a setting in a table, where a layer knows only the name in its own: `heads` within
    /// `attention` is `attention.heads`.
    ///
    /// What is not a setting of the model (a size of its inputs or outputs) keeps its name. So does what a layer
    /// inherits from the table around it: its own tables have no such key.
    pub(super) fn within(self, table: &str) -> Self {
        const NOT_SETTINGS: [&str; 9] = [
            "model",
            "inputs",
            "output",
            "outputs",
            "token_dim",
            "channels",
            "items",
            "points",
            "max_len",
        ];
        match self {
            Self::Setting {
                name,
                value,
                reason,
            } => {
                let first = name.split('.').next().unwrap_or_default();
                let inherited = name == "drop_path" && matches!(table, "attention" | "ffn");
                let name = if first == table || inherited || NOT_SETTINGS.contains(&first) {
                    name
                } else {
                    format!("{table}.{name}")
                };
                Self::Setting {
                    name,
                    value,
                    reason,
                }
            }
            other => other,
        }
    }

    /// [`ConfigError::Parse`] with the position of `error` in `text`.
    pub(super) fn parse(error: &toml::de::Error, text: &str, path: &Path) -> Self {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text.as_bytes()[..start];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let in_line = String::from_utf8_lossy(&before[line_start..]);
        Self::Parse {
            path: path.to_owned(),
            line,
            column: in_line.chars().count() + 1,
            reason: error.message().to_owned(),
            source_line: text.lines().nth(line - 1).unwrap_or_default().to_owned(),
        }
    }
}
