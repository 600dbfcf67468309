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
