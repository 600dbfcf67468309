//! `cargo xtask setup`: makes libtorch available to every cargo command and editor.
//!
//! [`nac_setup`] finds or builds it; what is found, the link `.libtorch` leads to. `.cargo/config.toml` sets
//! `LIBTORCH` to that link for everything cargo starts.

use nac_data::output;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use nac_setup::command::output;
use nac_setup::{Console, Found, Kind, Libtorch, Origin, Search, VERSION, chain, prerequisites};

use crate::cli::SetupOptions;
use crate::workspace::Workspace;

/// The command.
pub(crate) fn run(workspace: &Workspace, options: &SetupOptions) -> Result<ExitCode> {
    let (found, origin) = make_available(workspace, options)?;
    let kind = found.kind.label();
    output::report(format_args!(
        "libtorch {VERSION} ({kind}) is ready: {}, {origin}",
        found.root.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The set-up, silent if there was nothing to do.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let (found, origin) = make_available(workspace, &SetupOptions::default())?;
    if origin != READY {
        output::note(format_args!(
            "libtorch {VERSION} ({}): {}, {origin}",
            found.kind.label(),
            found.root.display()
        ));
    }
    Ok(())
}

const READY: &str = "linked before";

fn make_available(
    workspace: &Workspace,
    options: &SetupOptions,
) -> Result<(Libtorch, &'static str)> {
    prerequisites::compiler()?;
    let search = Search {
        variable: workspace.user_libtorch(),
        link: Some(workspace.link()),
        kind: match (options.cpu, options.cuda) {
            (true, _) => Some(Kind::Cpu),
            (_, true) => Some(Kind::Cuda),
            _ => None,
        },
    };
    let Found { libtorch, origin } = search.install(options.force, &Console::new())?;
    if origin == Origin::Link {
        return Ok((libtorch, READY));
    }
    let linked = connect(workspace, &libtorch)?;
    let origin = match origin {
        Origin::Variable if linked == Linked::Same => READY,
        Origin::Variable => "from the variable LIBTORCH",
        Origin::Python => "from python3's package torch",
        Origin::Link | Origin::Cache => "in the cache",
    };
    Ok((libtorch, origin))
}

/// What is compiled for one libtorch, or has a run path to it.
const COMPILED: [&str; 8] = [
    "torch-sys",
    "nac-dist",
    "nac-modules",
    "nac-train",
    "nac-pytorch",
    "nac-cli",
    "nac-benches",
    "nac-gemm-peak",
];

/// Makes the link. Cargo cannot see that it moved, so what was compiled for the other libtorch is removed.
fn connect(workspace: &Workspace, found: &Libtorch) -> Result<Linked> {
    let linked = link(&workspace.link(), &found.root)?;
    if linked == Linked::Moved {
        output::note(".libtorch leads to another folder now; torch-sys will be compiled again");
        for profile in ["dev", "release"] {
            let mut clean = workspace.cargo_at_root();
            clean.args(["clean", "--profile", profile]);
            clean.args(COMPILED.iter().flat_map(|package| ["--package", package]));
            if let Err(error) = output(&mut clean) {
                output::note(format_args!("{}\nFix: cargo clean", chain(&error)));
            }
        }
    }
    Ok(linked)
}

/// What became of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    /// It led there already.
    Same,
    /// There was none.
    New,
    /// It led somewhere else.
    Moved,
}

/// Makes `link` lead to `target`, atomically.
#[cfg(unix)]
fn link(link: &Path, target: &Path) -> Result<Linked> {
    let before = match fs_err::symlink_metadata(link) {
        Err(_) => Linked::New,
        Ok(data) if !data.is_symlink() => bail!(
            "{} is a file or folder, not a link; move it away and run this again",
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
fn link(_link: &Path, target: &Path) -> Result<Linked> {
    bail!(
        "set the environment variable LIBTORCH to {}: links are not made on this system",
        target.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
