//! A libtorch folder (`include`, `lib`): what makes one usable.

use std::path::{Path, PathBuf};

use crate::error::SetupError;
use crate::kind::{Kind, VERSION};

/// A usable libtorch of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder with `include` and `lib`.
    pub root: PathBuf,
    /// Its build.
    pub kind: Kind,
}

impl Libtorch {
    /// The folder of its shared libraries.
    pub fn lib(&self) -> PathBuf {
        self.root.join("lib")
    }
}

/// Looks at a folder that should be libtorch 2.11.0.
///
/// # Errors
/// A file that every libtorch has is missing, or the version is another one or not known.
pub fn inspect(root: &Path) -> Result<Libtorch, SetupError> {
    let root = fs_err::canonicalize(root)?;
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = |name: &str| root.join("lib").join(format!("{prefix}{name}{suffix}"));
    let header = root.join("include/torch/csrc/api/include/torch/torch.h");
    let needed = [
        header,
        library("torch_cpu"),
        library("c10"),
        library("torch"),
    ];
    if let Some(file) = needed.into_iter().find(|file| !file.is_file()) {
        return Err(SetupError::NotLibtorch { root, file });
    }
    let Some(found) = version(&root) else {
        return Err(SetupError::UnknownVersion { root });
    };
    if found != VERSION {
        return Err(SetupError::Version { root, found });
    }
    let kind = if library("torch_cuda").is_file() {
        Kind::Cuda
    } else {
        Kind::Cpu
    };
    Ok(Libtorch { root, kind })
}

/// The version without its build suffix: `2.11.0+cpu` is `2.11.0`.
fn version(root: &Path) -> Option<String> {
    let read = |file: &str| fs_err::read_to_string(root.join(file)).ok();
    let full = read("build-version")
        .or_else(|| read("version.py").and_then(|text| python_version(&text)))
        .or_else(|| {
            read("include/torch/headeronly/version.h").and_then(|text| header_version(&text))
        })?;
    full.trim().split('+').next().map(str::to_owned)
}

fn python_version(text: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim().trim_matches(['\'', '"']).to_owned())
}

fn header_version(text: &str) -> Option<String> {
    let number = |name: &str| {
        let mut words = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.find_map(|words| match words[..] {
            ["#define", word, number] if word == name => Some(number.to_owned()),
            _ => None,
        })
    };
    let parts = [
        "TORCH_VERSION_MAJOR",
        "TORCH_VERSION_MINOR",
        "TORCH_VERSION_PATCH",
    ]
    .map(number);
    parts
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.join("."))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The smallest folder that passes for libtorch.
    pub(crate) fn fake(root: &Path, version: &str) {
        let api = root.join("include/torch/csrc/api/include/torch");
        fs_err::create_dir_all(&api).unwrap();
        fs_err::create_dir_all(root.join("lib")).unwrap();
        fs_err::write(api.join("torch.h"), "//").unwrap();
        for name in ["torch_cpu", "c10", "torch"] {
            let name = format!(
                "{}{name}{}",
                std::env::consts::DLL_PREFIX,
                std::env::consts::DLL_SUFFIX
            );
            fs_err::write(root.join("lib").join(name), "x").unwrap();
        }
        fs_err::write(
            root.join("version.py"),
            format!("import x\n__version__ = '{version}'\n"),
        )
        .unwrap();
    }

    #[test]
    fn a_wrong_version_is_named_with_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "2.10.1+cpu");
        let error = inspect(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("is libtorch 2.10.1, but exactly 2.11.0 is needed"),
            "{error}"
        );
        fs_err::write(dir.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        assert_eq!(inspect(dir.path()).unwrap().kind, Kind::Cpu);
    }

    #[test]
    fn a_missing_library_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "2.11.0");
        let name = format!(
            "{}c10{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        );
        fs_err::remove_file(dir.path().join("lib").join(&name)).unwrap();
        let error = inspect(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&name) && error.contains("is missing"),
            "{error}"
        );
        assert!(inspect(&dir.path().join("nothing")).is_err());
    }

    #[test]
    fn versions_are_read_from_each_file() {
        assert_eq!(
            python_version("x\n__version__ = '2.11.0+cu130'\n").as_deref(),
            Some("2.11.0+cu130")
        );
        let header = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
                      #define TORCH_VERSION_PATCH 0\n";
        assert_eq!(header_version(header).as_deref(), Some("2.11.0"));
        assert_eq!(header_version("#define TORCH_VERSION_MAJOR 2\n"), None);
    }
}
