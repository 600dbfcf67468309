#![allow(
    clippy::print_stdout,
    reason = "cargo reads what a build script prints"
)]
#![doc = include_str!("../README.md")]

mod find;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use find::Source;

/// Lets the executables of the package whose build script calls this, and those of packages that depend on it,
/// find libtorch's shared libraries.
///
/// Executables of the package itself get a run path. Link arguments do not travel to dependents and doc tests;
/// but cargo runs all of them with every native search folder in the target directory on the loader's
/// path, so a link to libtorch is put there.
pub fn link() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in find::VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() != Ok("unix") {
        return;
    }
    // Not found means downloaded by torch-sys, into the target directory.
    let Some(lib) = folder(|name| env::var_os(name)) else {
        return;
    };
    let lib = fs::canonicalize(&lib).unwrap_or(lib);
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if let Some(out) = env::var_os("OUT_DIR") {
        let link = Path::new(&out).join("libtorch");
        let _ = fs::remove_file(&link);
        #[cfg(unix)]
        if std::os::unix::fs::symlink(&lib, &link).is_ok() {
            println!("cargo::rustc-link-search=native={}", link.display());
        }
    }
}

/// Folders of an installed libtorch, for packages that compile C++ against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Where headers are.
    pub include: Vec<PathBuf>,
    /// Where shared libraries are.
    pub lib: PathBuf,
}

/// The libtorch that torch-sys takes; nothing if there is none, or if torch-sys downloads it.
pub fn installed() -> Option<Installed> {
    let variable = |name: &str| env::var_os(name);
    let root = match find::source(variable).ok()? {
        Source::Folder(root) => variable("LIBTORCH_INCLUDE").map_or(root, PathBuf::from),
        Source::Python => folder(variable)?.parent()?.to_owned(),
    };
    let include = root.join("include");
    let api = include.join("torch/csrc/api/include");
    Some(Installed {
        include: vec![include, api],
        lib: folder(variable)?,
    })
}

/// The folder of libtorch's shared libraries.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let root = match find::source(&variable).ok()? {
        Source::Folder(root) => variable("LIBTORCH_LIB").map_or(root, PathBuf::from),
        Source::Python => {
            let python = variable("PYTHON_SYS_EXECUTABLE").unwrap_or_else(|| "python3".into());
            let code = "import os, torch; print(os.path.dirname(torch.__file__))";
            let output = Command::new(python).args(["-c", code]).output().ok()?;
            PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())
        }
    };
    Some(root.join("lib"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn variables<'a>(set: &'a [(&'a str, &'a Path)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| {
            let found = set.iter().find(|(other, _)| *other == name);
            found.map(|(_, path)| path.into())
        }
    }

    #[test]
    fn a_folder_without_headers_is_named() {
        let dir = env::temp_dir().join(format!("nac-libtorch-{}", std::process::id()));
        let set = [("LIBTORCH", dir.as_path())];
        let problem = find::source(variables(&set)).unwrap_err();
        assert!(problem.contains(&dir.display().to_string()), "{problem}");
        assert_eq!(folder(variables(&set)), None);

        let header = dir.join(find::HEADER);
        fs::create_dir_all(header.parent().unwrap()).unwrap();
        fs::write(&header, "").unwrap();
        let found = find::source(variables(&set)).unwrap();
        let lib = folder(variables(&set));
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, Source::Folder(dir.clone()));
        assert_eq!(lib, Some(dir.join("lib")));
    }

    #[test]
    fn python_comes_first() {
        let set = [
            ("LIBTORCH_USE_PYTORCH", Path::new("1")),
            ("LIBTORCH", Path::new("/none")),
        ];
        assert_eq!(find::source(variables(&set)), Ok(Source::Python));
    }

    #[test]
    fn nothing_set_names_the_variable() {
        if !Path::new("/usr/lib/libtorch.so").exists() {
            let problem = find::source(variables(&[])).unwrap_err();
            assert_eq!(problem, "LIBTORCH is not set");
        }
    }
}
