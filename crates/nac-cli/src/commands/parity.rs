//! `nac parity`: compares our layers with goldens, recorded from the reference implementation.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use nac_data::output;
use nac_modules::device::open_device;
use nac_pytorch::parity::{
    CaseReport, Engine, Options, Report, plain_table, run_folder, terminal_table, to_json,
};
use tch::Kind;

/// Arguments of `nac parity`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of goldens: pairs NAME.json and NAME.safetensors
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Also write the results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What runs the layers: libtorch, libtorch with fused blocks of training, or nac-engine (values in evaluation only)
    #[arg(long, visible_alias = "executor", value_enum, default_value = "torch")]
    engine: EngineName,
    /// cpu, cuda, cuda:N or auto
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value = "float")]
    kind: Numbers,
    /// Run only goldens whose name contains this
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Stop after the first case that fails
    #[arg(long)]
    fail_fast: bool,
    /// Fail if a case is unsupported, too
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum EngineName {
    Torch,
    Fused,
    Core,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Numbers {
    Float,
    Double,
    Bfloat16,
}

pub(crate) fn command(args: Args) -> Result<ExitCode> {
    let options = Options {
        engine: match args.engine {
            EngineName::Torch => Engine::Torch,
            EngineName::Fused => Engine::Fused,
            EngineName::Core => Engine::Core,
        },
        device: open_device(&args.device)?,
        kind: match args.kind {
            Numbers::Float => Kind::Float,
            Numbers::Double => Kind::Double,
            Numbers::Bfloat16 => Kind::BFloat16,
        },
        only: args.only,
        fail_fast: args.fail_fast,
    };
    if options.device.is_cuda() {
        // cuDNN rounds the inputs of convolutions to 10 bits of mantissa (TF32); libtorch's own kernels do not.
        tch::Cuda::set_user_enabled_cudnn(false);
    }
    // The goldens were made with one thread, and their layers are too small for more.
    tch::set_num_threads(1);
    let terminal = std::io::stdout().is_terminal();
    let bar = terminal.then(indicatif::ProgressBar::new_spinner);
    let mut seen = |case: &CaseReport| {
        if let Some(bar) = &bar {
            bar.set_message(case.case.clone());
            bar.tick();
        }
    };
    let report = run_folder(&args.folder, &options, &mut seen)
        .with_context(|| format!("comparing with {}", args.folder.display()))?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if let Some(path) = &args.json {
        write(path, &to_json(&report)?)?;
    }
    print(&report, terminal)?;
    Ok(if report.fails(args.strict) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(report: &Report, terminal: bool) -> Result<()> {
    let table = if terminal {
        terminal_table(report, None)
    } else {
        plain_table(report)
    };
    Ok(output::print(format_args!(
        "{table}\n{}\n",
        report.totals()
    ))?)
}

/// Replaces the file whole.
fn write(path: &PathBuf, text: &str) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}
