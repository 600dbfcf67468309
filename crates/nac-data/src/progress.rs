//! [`Progress`]: reports of long-running work. This crate prints nothing itself.

/// Receives the progress of one download, unpacking or generation after another.
///
/// Methods are called from the thread that does the work.
pub trait Progress: Send + Sync {
    /// A piece of work begins; `total` is in the unit `unit` (`"bytes"`, `"examples"`), if known.
    fn start(&self, what: &str, total: Option<u64>, unit: &'static str);

    /// The piece of work has done `done` units so far.
    fn at(&self, done: u64);

    /// The piece of work ended.
    fn finish(&self);

    /// A message for the user, for example that a second address is tried.
    fn note(&self, text: &str);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>, _unit: &'static str) {}
    fn at(&self, _done: u64) {}
    fn finish(&self) {}
    fn note(&self, _text: &str) {}
}

/// Files that a note names at most.
const NAMED: usize = 5;

/// Notes what is left out, if anything is: `what` says of which things what is wrong, as in "files cannot be read".
pub(crate) fn note_left_out(progress: &dyn Progress, what: &str, total: usize, refused: &[String]) {
    if refused.is_empty() {
        return;
    }
    let named: Vec<&str> = refused.iter().take(NAMED).map(String::as_str).collect();
    let more = if refused.len() > NAMED { "\n  …" } else { "" };
    progress.note(&format!(
        "{} of {total} {what} and are left out:\n  {}{more}",
        refused.len(),
        named.join("\n  ")
    ));
}
