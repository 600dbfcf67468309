//! [`ImageFile`]: a file with its class.

use std::path::PathBuf;

/// A file, its class, and the part of it that is used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageFile {
    pub(crate) path: PathBuf,
    pub(crate) class: u32,
    /// Left, top, width and height in pixels; all of it if there is none.
    pub(crate) part: Option<[usize; 4]>,
}

impl ImageFile {
    pub(crate) fn whole(path: PathBuf, class: u32) -> Self {
        Self {
            path,
            class,
            part: None,
        }
    }
}
