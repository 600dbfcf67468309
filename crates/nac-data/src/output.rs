//! What programs say on standard output and standard error, when nobody may be reading.
//!
//! A reader can go away (`| head -1`, a closed terminal) and a device can fill up. The macros of the standard library
//! panic then, so programs write through these functions: [`note`] and [`report`] lose what cannot be written, because
//! the work matters more than the words about it; [`print()`] is for output that is the purpose of a command, and gives
//! an error.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};

/// Writes a line to standard error: progress, a warning, an error. It is lost if it cannot be written.
pub fn note(text: impl Display) {
    let _ = write(io::stderr().lock(), &format!("{text}\n"));
}

/// Writes a line to standard output that says what a command did. It is lost if it cannot be written: the work is done.
pub fn report(text: impl Display) {
    let _ = write(io::stdout().lock(), &format!("{text}\n"));
}

/// Writes the output of a command to standard output; `text` ends its own lines.
///
/// # Errors
/// It cannot be written, see [`OutputError`].
pub fn print(text: impl Display) -> Result<(), OutputError> {
    write(io::stdout().lock(), &text.to_string()).map_err(OutputError)
}

/// One write, so that lines of several threads or processes do not mix.
fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(io::Error);

impl OutputError {
    /// Exit code of a program whose reader has gone: that of a program which SIGPIPE ended.
    pub const CLOSED: u8 = 141;

    /// Whether the reader has gone, as `head` does, which is no reason to complain.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Whether standard error is a terminal on which a line can be drawn again and again. A terminal without a name
/// (`TERM` unset, empty or `dumb`) is none: it gets plain lines, as a file does.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && draws(std::env::var("TERM").ok().as_deref())
}

fn draws(term: Option<&str>) -> bool {
    match term {
        None => cfg!(windows),
        Some(name) => !name.is_empty() && name != "dumb",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_without_a_name_get_plain_lines() {
        assert_eq!(draws(None), cfg!(windows));
        assert!(!draws(Some("")) && !draws(Some("dumb")));
        assert!(draws(Some("xterm-256color")) && draws(Some("screen")));
    }

    #[test]
    fn only_a_reader_who_has_gone_is_no_reason_to_complain() {
        assert!(OutputError(io::ErrorKind::BrokenPipe.into()).is_closed());
        let full = OutputError(io::ErrorKind::StorageFull.into());
        assert!(!full.is_closed());
        assert!(
            full.to_string()
                .starts_with("cannot write to standard output: ")
        );
    }
}
