//! A libtorch folder (`include`, `lib`): what makes one usable, how one is put in place atomically,
//! and the link `.libtorch` to it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The version that tch 0.24.0 and torch-sys 0.24.0 are made for.
pub(crate) const VERSION: &str = "2.11.0";

/// Whether libtorch can use a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cpu,
    Cuda,
}

impl Kind {
    /// Part of folder names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Cuda => "cuda",
        }
    }

    /// For messages.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Cpu => "CPU",
            Kind::Cuda => "CUDA",
        }
    }
}

/// A usable libtorch of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Libtorch {
    pub(crate) root: PathBuf,
    pub(crate) kind: Kind,
}

/// Looks at a folder that should be libtorch 2.11.0.
pub(crate) fn inspect(root: &Path) -> Result<Libtorch> {
    let root = fs_err::canonicalize(root)?;
    let at = root.display();
    if !root
        .join("include/torch/csrc/api/include/torch/torch.h")
        .is_file()
    {
        bail!("{at} is not libtorch: there is no include/torch/csrc/api/include/torch/torch.h");
    }
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = |name: &str| root.join("lib").join(format!("{prefix}{name}{suffix}"));
    for name in ["torch_cpu", "c10", "torch"] {
        if !library(name).is_file() {
            bail!(
                "{at} is not libtorch: {} is missing",
                library(name).display()
            );
        }
    }
    let version = version(&root).with_context(|| {
        format!("the version of libtorch in {at} is not known (no build-version file)")
    })?;
    if version != VERSION {
        bail!("{at} is libtorch {version}, but this project needs exactly {VERSION}");
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

const CONTENTS: &str = "contents.json";

/// Size in bytes of every file of a layout in the cache.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Contents(BTreeMap<String, u64>);

/// Adds what the linker and torch-sys expect, records the contents and writes everything to disk.
pub(crate) fn complete(dir: &Path, torch: &Path) -> Result<()> {
    let lib = torch.join("lib");
    fs_err::write(torch.join("build-version"), VERSION)?;
    if !lib.join("libtorch.so").exists() {
        // torch-sys links `torch`, a library without code of its own; this stands for it.
        fs_err::write(lib.join("libtorch.so"), "INPUT(-ltorch_cpu)\n")?;
    }
    #[cfg(unix)]
    if lib.join("libgomp.so.1").exists() && !lib.join("libgomp.so").exists() {
        // torch-sys links `gomp` too; a C++ compiler other than GCC may not bring it.
        fs_err::os::unix::fs::symlink("libgomp.so.1", lib.join("libgomp.so"))?;
    }
    let mut sizes = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            if fs_err::symlink_metadata(&path)?.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(dir)?.to_string_lossy().into_owned();
            sizes.insert(relative, fs_err::metadata(&path)?.len());
            // Thousands of headers are left to the system: a lost one shows in the recorded sizes.
            if path.parent() == Some(lib.as_path()) {
                fs_err::File::open(&path)?.sync_all()?;
            }
        }
    }
    let text = serde_json::to_vec(&Contents(sizes))?;
    fs_err::write(dir.join(CONTENTS), text)?;
    fs_err::File::open(dir.join(CONTENTS))?.sync_all()?;
    Ok(fs_err::File::open(dir)?.sync_all()?)
}

/// Checks that a layout in the cache still has every file with its size.
pub(crate) fn intact(dir: &Path) -> Result<()> {
    let text = fs_err::read(dir.join(CONTENTS))?;
    let Contents(sizes) =
        serde_json::from_slice(&text).with_context(|| dir.join(CONTENTS).display().to_string())?;
    for (file, size) in &sizes {
        let found = fs_err::metadata(dir.join(file))?.len();
        if found != *size {
            bail!(
                "{} has {found} bytes, expected {size}",
                dir.join(file).display()
            );
        }
    }
    Ok(())
}

/// Puts a complete staging folder in its place with a rename; an older one there is removed afterwards.
pub(crate) fn put_in_place(staging: &Path, place: &Path) -> Result<()> {
    let old = sibling(place, ".old-");
    remove_dir(&old)?;
    if place.exists() {
        fs_err::rename(place, &old)?;
    }
    fs_err::rename(staging, place)?;
    if let Some(parent) = place.parent() {
        fs_err::File::open(parent)?.sync_all()?;
    }
    remove_dir(&old)
}

/// A hidden name beside a path.
pub(crate) fn sibling(path: &Path, prefix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{prefix}{name}"))
}

/// Removes a folder if it is there.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    match fs_err::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// What became of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// It led there already.
    Same,
    /// There was none.
    New,
    /// It led somewhere else.
    Moved,
}

/// Makes `link` lead to `target`, atomically.
#[cfg(unix)]
pub(crate) fn link(link: &Path, target: &Path) -> Result<Linked> {
    let before = match fs_err::symlink_metadata(link) {
        Err(_) => Linked::New,
        Ok(data) if !data.is_symlink() => bail!(
            "{} is a file or folder of its own, not a link; move it away and run this again",
            link.display()
        ),
        Ok(_) if fs_err::read_link(link)? == target => return Ok(Linked::Same),
        Ok(_) => Linked::Moved,
    };
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let new = link.with_file_name(format!("{name}.new-{}", std::process::id()));
    let _ = fs_err::remove_file(&new);
    fs_err::os::unix::fs::symlink(target, &new)?;
    fs_err::rename(&new, link)?;
    Ok(before)
}

/// Links need special rights on this system.
#[cfg(not(unix))]
pub(crate) fn link(_link: &Path, target: &Path) -> Result<Linked> {
    bail!(
        "set the environment variable LIBTORCH to {}: links are not made on this system",
        target.display()
    )
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
            error.contains("is libtorch 2.10.1, but this project needs exactly 2.11.0"),
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
    fn versions_are_read_from_each_place() {
        assert_eq!(
            python_version("x\n__version__ = '2.11.0+cu130'\n").as_deref(),
            Some("2.11.0+cu130")
        );
        let header = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
                      #define TORCH_VERSION_PATCH 0\n";
        assert_eq!(header_version(header).as_deref(), Some("2.11.0"));
        assert_eq!(header_version("#define TORCH_VERSION_MAJOR 2\n"), None);
    }

    #[test]
    fn a_damaged_layout_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "2.11.0");
        assert!(intact(dir.path()).is_err(), "no contents recorded yet");
        complete(dir.path(), dir.path()).unwrap();
        intact(dir.path()).unwrap();
        fs_err::write(dir.path().join("version.py"), "").unwrap();
        let error = intact(dir.path()).unwrap_err().to_string();
        assert!(error.contains("version.py has 0 bytes"), "{error}");
    }

    #[test]
    fn a_layout_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (place, staging) = (dir.path().join("a"), dir.path().join(".staging-a"));
        fs_err::create_dir(&place).unwrap();
        fs_err::write(place.join("old"), "").unwrap();
        fs_err::create_dir(&staging).unwrap();
        fs_err::write(staging.join("new"), "").unwrap();
        put_in_place(&staging, &place).unwrap();
        assert!(place.join("new").exists() && !place.join("old").exists());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_link_moves_but_never_overwrites_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(".libtorch");
        assert_eq!(link(&at, Path::new("/a")).unwrap(), Linked::New);
        assert_eq!(link(&at, Path::new("/a")).unwrap(), Linked::Same);
        assert_eq!(link(&at, Path::new("/b")).unwrap(), Linked::Moved);
        assert_eq!(fs_err::read_link(&at).unwrap(), Path::new("/b"));
        fs_err::remove_file(&at).unwrap();
        fs_err::create_dir(&at).unwrap();
        assert!(
            link(&at, Path::new("/a"))
                .unwrap_err()
                .to_string()
                .contains("move it away")
        );
    }
}
