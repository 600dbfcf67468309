//! The program `nac-setup`: finds or installs libtorch, and names it in a project's cargo configuration.

use nac_data::output;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use nac_setup::{Console, Found, Kind, Origin, Search, VERSION, prerequisites, project};

/// Finds or installs libtorch for the nac crates, and tells cargo where it is.
///
/// Without a subcommand it looks at the variable LIBTORCH, the torch of python3 and the cache, and builds
/// libtorch in the cache from the published wheels where none has it.
#[derive(Debug, Parser)]
#[command(name = "nac-setup", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    kind: KindOptions,
    /// Build libtorch in the cache again, even if one is ready
    #[arg(long)]
    force: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone, Copy, Debug)]
struct KindOptions {
    /// Take the CPU build, even where an NVIDIA driver answers
    #[arg(long, conflicts_with = "cuda")]
    cpu: bool,
    /// Take the CUDA build, even where no NVIDIA driver answers
    #[arg(long)]
    cuda: bool,
}

impl KindOptions {
    fn kind(self) -> Option<Kind> {
        match (self.cpu, self.cuda) {
            (true, _) => Some(Kind::Cpu),
            (_, true) => Some(Kind::Cuda),
            _ => None,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write where libtorch is into `.cargo/config.toml` of a project, after showing the lines and asking
    Project {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Write without asking
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        kind: KindOptions,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => install(cli.kind.kind(), cli.force),
        Some(Command::Project { dir, yes, kind }) => project(&dir, kind.kind(), yes),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn install(kind: Option<Kind>, force: bool) -> Result<()> {
    prerequisites::compiler()?;
    let found = Search::new(kind).install(force, &Console::new())?;
    output::report(describe(&found));
    output::report("next, in the folder of your project: nac-setup project");
    Ok(())
}

fn describe(Found { libtorch, origin }: &Found) -> String {
    let origin = match origin {
        Origin::Variable => "from the variable LIBTORCH",
        Origin::Link => "linked before",
        Origin::Python => "from python3's package torch",
        Origin::Cache => "in the cache",
    };
    format!(
        "libtorch {VERSION} ({}) is ready: {}, {origin}",
        libtorch.kind.label(),
        libtorch.root.display()
    )
}

fn project(dir: &std::path::Path, kind: Option<Kind>, yes: bool) -> Result<()> {
    let found = match Search::new(kind).installed() {
        Err(error @ nac_setup::SetupError::NotSetUp) => bail!("{error}. Fix: nac-setup"),
        found => found?,
    };
    let edit = project::plan(dir, &found.libtorch)?;
    output::report(describe(&found));
    for note in edit.notes() {
        output::report(format_args!("note: {note}"));
    }
    if std::env::var_os("RUSTFLAGS").is_some_and(|flags| !flags.is_empty()) {
        output::report(
            "note: while RUSTFLAGS is set, cargo ignores the rustflags of configuration files",
        );
    }
    let path = edit.path().display();
    if edit.lines().is_empty() {
        output::report(format_args!("{path}: nothing to add"));
        return Ok(());
    }
    output::report(format_args!("lines for {path}:\n\n{}", edit.lines()));
    if !yes && !confirmed()? {
        bail!("nothing was written");
    }
    edit.write()?;
    output::report(
        "written. The paths are those of this machine: do not commit the file for others",
    );
    output::report("cargo run and cargo test find libtorch in this project from now on");
    Ok(())
}

/// Asks on the terminal.
fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "nothing was written, because there is no terminal to ask on. Fix: nac-setup project --yes"
        );
    }
    output::print("write them? [y/N] ")?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        for words in [
            &["nac-setup", "--cpu", "--cuda"][..],
            &["nac-setup", "--force", "project"],
        ] {
            assert!(Cli::try_parse_from(words).is_err(), "{words:?}");
        }
        assert!(Cli::try_parse_from(["nac-setup", "project", "dir", "--yes", "--cpu"]).is_ok());
    }
}
