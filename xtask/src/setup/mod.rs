//! `cargo xtask setup`: makes libtorch available to every cargo command and editor.
//!
//! Looked for in this order: the variable `LIBTORCH`; what `.libtorch` leads to already; a torch that
//! python3 can import; the cache, where it is built from the published wheels if it is not there.
//! `.cargo/config.toml` sets `LIBTORCH` to the link `.libtorch` for everything cargo starts.

mod build;
pub(crate) mod cache;
pub(crate) mod driver;
mod index;
pub(crate) mod layout;
mod lock;
pub(crate) mod prerequisites;
pub(crate) mod python;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
mod wheel;

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};

use crate::cli::SetupOptions;
use crate::progress::Console;
use crate::workspace::{Workspace, output};
use driver::Driver;
use layout::VERSION;
use layout::{Kind, Libtorch, Linked};

/// The command.
pub(crate) fn run(workspace: &Workspace, options: &SetupOptions) -> Result<ExitCode> {
    let (found, origin) = make_available(workspace, options)?;
    let kind = found.kind.label();
    println!(
        "libtorch {VERSION} ({kind}) is ready: {}, {origin}",
        found.root.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The set-up, said only if there was something to do.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let (found, origin) = make_available(workspace, &SetupOptions::default())?;
    if origin != READY {
        eprintln!(
            "libtorch {VERSION} ({}): {}, {origin}",
            found.kind.label(),
            found.root.display()
        );
    }
    Ok(())
}

const READY: &str = "linked before";

fn make_available(
    workspace: &Workspace,
    options: &SetupOptions,
) -> Result<(Libtorch, &'static str)> {
    prerequisites::compiler()?;
    let wanted = match (options.cpu, options.cuda) {
        (true, _) => Some(Kind::Cpu),
        (_, true) => Some(Kind::Cuda),
        _ => None,
    };
    let fits = |found: &Libtorch| wanted.is_none_or(|kind| found.kind == kind);
    let link = workspace.link();

    if let Some(dir) = workspace.user_libtorch() {
        let found = layout::inspect(&dir).map_err(|error| {
            anyhow!("the variable LIBTORCH is of no use: {error:#}. Fix: unset LIBTORCH")
        })?;
        if !fits(&found) {
            bail!(
                "LIBTORCH is a {} build of libtorch, which the option excludes. Fix: unset LIBTORCH",
                found.kind.label()
            );
        }
        let origin = match connect(workspace, &found)? {
            Linked::Same => READY,
            Linked::New | Linked::Moved => "from the variable LIBTORCH",
        };
        return Ok((found, origin));
    }

    if !options.force {
        match ready(&link) {
            Ok(found) if fits(&found) => return Ok((found, READY)),
            Err(error) if link.symlink_metadata().is_ok() => {
                eprintln!(".libtorch is of no use ({error:#}); it is made anew");
            }
            _ => {}
        }
    }

    if !options.force
        && let Some(dir) = python::torch()
    {
        match layout::inspect(&dir) {
            Ok(found) if fits(&found) => {
                connect(workspace, &found)?;
                return Ok((found, "from python3's package torch"));
            }
            Ok(found) => {
                eprintln!(
                    "python3's torch is a {} build and is left alone",
                    found.kind.label()
                );
            }
            Err(error) => eprintln!("python3's torch is left alone: {error:#}"),
        }
    }

    let plan = sources::plan(OS, ARCH, wanted.unwrap_or_else(default_kind))?;
    let root = root()?;
    let found = build::build(
        &plan,
        &root,
        python::index_url,
        options.force,
        &Console::new(),
    )?;
    connect(workspace, &found)?;
    Ok((found, "in the cache"))
}

/// Whether the link leads to a usable and, in the cache, undamaged libtorch.
pub(crate) fn ready(link: &std::path::Path) -> Result<Libtorch> {
    if link.symlink_metadata().is_err() {
        bail!("libtorch is not set up yet");
    }
    let found = layout::inspect(link)?;
    let ours = root().is_ok_and(|root| {
        found
            .root
            .starts_with(fs_err::canonicalize(&root).unwrap_or(root))
    });
    if ours {
        // The layout is the folder itself, or (CUDA) the one above.
        let place = found
            .root
            .parent()
            .filter(|_| found.root.ends_with("torch"))
            .unwrap_or(&found.root);
        layout::intact(place)?;
    }
    Ok(found)
}

/// The folder of all layouts in the cache.
pub(crate) fn root() -> Result<PathBuf> {
    Ok(cache::dir()?.join("libtorch"))
}

/// CUDA where a driver answers and there is a CUDA build for this machine.
fn default_kind() -> Kind {
    match driver::find() {
        Driver::Works(gpu) if sources::plan(OS, ARCH, Kind::Cuda).is_ok() => {
            eprintln!(
                "{gpu}: getting libtorch with CUDA (about 2.5 GB; `cargo xtask setup --cpu` is smaller)"
            );
            Kind::Cuda
        }
        Driver::Works(gpu) => {
            eprintln!(
                "{gpu}: there is no ready CUDA build for {OS} on {ARCH}, so libtorch is for CPU only"
            );
            Kind::Cpu
        }
        Driver::No(why) => {
            eprintln!("libtorch is for CPU only: {why}");
            Kind::Cpu
        }
    }
}

/// Makes the link. Where it moved, cargo cannot know: what was compiled for the other libtorch goes.
fn connect(workspace: &Workspace, found: &Libtorch) -> Result<Linked> {
    let linked = layout::link(&workspace.link(), &found.root)?;
    if linked == Linked::Moved {
        eprintln!(".libtorch leads to another folder now; torch-sys will be compiled again");
        for profile in ["dev", "release"] {
            let mut clean = workspace.cargo_at_root();
            if let Err(error) =
                output(clean.args(["clean", "--package", "torch-sys", "--profile", profile]))
            {
                eprintln!("{error:#}\nFix: cargo clean");
            }
        }
    }
    Ok(linked)
}
