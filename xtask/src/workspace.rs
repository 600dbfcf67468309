//! The repository this program belongs to, and the cargo commands started in it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
pub(crate) use nac_setup::command::{output, shown, status};

/// Variables that `cargo run` sets for this program. Build scripts of some dependencies ask to be run
/// again when one of them changes, so a cargo started from here must not inherit them.
const SET_BY_CARGO: [&str; 6] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_MANIFEST_LINKS",
];

/// The root folder of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that `cargo xtask` was called in.
    pub(crate) fn find() -> Result<Self> {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        if !root.join("Cargo.toml").is_file() {
            bail!(
                "{} is not the workspace: call this program through `cargo xtask`",
                root.display()
            );
        }
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The link to libtorch that `.cargo/config.toml` names.
    pub(crate) fn link(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// The user's own `LIBTORCH`, if set. Cargo sets the variable to the link when the user did not.
    pub(crate) fn user_libtorch(&self) -> Option<PathBuf> {
        own_libtorch(env::var_os("LIBTORCH"), &self.link())
    }

    /// Folder for output of the commands, inside the target folder.
    pub(crate) fn scratch(&self) -> Result<PathBuf> {
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => env::current_dir()?.join(dir),
            None => self.root.join("target"),
        };
        let dir = target.join("xtask");
        fs_err::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// A cargo command as the user would start it: same folder, same environment.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in env::vars_os() {
            if is_set_by_cargo(&name) {
                command.env_remove(name);
            }
        }
        if self.user_libtorch().is_none() {
            command.env_remove("LIBTORCH");
        }
        command
    }

    /// Like [`Workspace::cargo`], but in the root folder.
    pub(crate) fn cargo_at_root(&self) -> Command {
        let mut command = self.cargo();
        command.current_dir(&self.root);
        command
    }
}

fn own_libtorch(value: Option<OsString>, link: &Path) -> Option<PathBuf> {
    value
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
        .filter(|path| path != link)
}

fn is_set_by_cargo(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|n| n.starts_with("CARGO_PKG_") || SET_BY_CARGO.contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_cargo_sets_is_not_the_users() {
        let link = Path::new("/repo/.libtorch");
        assert_eq!(own_libtorch(None, link), None);
        assert_eq!(own_libtorch(Some("".into()), link), None);
        assert_eq!(own_libtorch(Some("/repo/.libtorch".into()), link), None);
        assert_eq!(
            own_libtorch(Some("/opt/libtorch".into()), link),
            Some("/opt/libtorch".into())
        );
    }

    #[test]
    fn variables_of_cargo_run_are_not_inherited() {
        for name in [
            "CARGO_PKG_NAME",
            "CARGO_PKG_VERSION_MAJOR",
            "CARGO_MANIFEST_DIR",
        ] {
            assert!(is_set_by_cargo(OsStr::new(name)), "{name}");
        }
        for name in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_TERM_COLOR",
            "PATH",
        ] {
            assert!(!is_set_by_cargo(OsStr::new(name)), "{name}");
        }
    }
}
