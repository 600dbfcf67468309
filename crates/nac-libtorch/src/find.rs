//! Where torch-sys takes libtorch from, by the same variables in the same order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables that decide.
pub(crate) const VARIABLES: [&str; 4] = [
    "LIBTORCH",
    "LIBTORCH_INCLUDE",
    "LIBTORCH_LIB",
    "LIBTORCH_USE_PYTORCH",
];

/// A file of every libtorch.
pub(crate) const HEADER: &str = "include/torch/csrc/api/include/torch/torch.h";

/// Where libtorch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A folder with `include` and `lib`.
    Folder(PathBuf),
    /// The package torch of a Python, which torch-sys asks for its folders.
    Python,
}

/// Where torch-sys will look, given the environment; or why it will find nothing there.
pub(crate) fn source(variable: impl Fn(&str) -> Option<OsString>) -> Result<Source, String> {
    if variable("LIBTORCH_USE_PYTORCH").is_some() {
        return Ok(Source::Python);
    }
    let Some(root) = variable("LIBTORCH").map(PathBuf::from) else {
        return if Path::new("/usr/lib/libtorch.so").exists() {
            Ok(Source::Folder("/usr".into()))
        } else {
            Err("LIBTORCH is not set".into())
        };
    };
    let include = variable("LIBTORCH_INCLUDE").map_or_else(|| root.clone(), PathBuf::from);
    if !include.join(HEADER).is_file() {
        return Err(format!("there is no {}", include.join(HEADER).display()));
    }
    Ok(Source::Folder(root))
}
