//! `nac reproduce-paper`: the main experiments with one report at the end.

use nac_data::output;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use nac_cli::report::terminal_table;
use nac_cli::reproduce::{self, Experiment, Profile, Request, Training};
use nac_data::{DataDirs, Progress as _};
use nac_modules::device::open_device;
use nac_train::config::{Override, RunConfig, from_toml};
use nac_train::run::{DataProgress, RunOptions};
use nac_train::trainer::{Interrupt, StopSignal};

/// Arguments of `nac reproduce-paper`. What is finished in the folder of --out is not run again, and what was
/// interrupted goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// quick: minutes on two CPU cores; paper: the paper's sizes, hours on a GPU; auto: paper where CUDA works,
    /// else quick
    #[arg(long, value_enum, default_value = "auto")]
    profile: ProfileChoice,
    /// Folder for runs, report.html and results.json
    #[arg(long, value_name = "DIR", default_value = "runs/reproduce")]
    out: PathBuf,
    /// Folder with data sets in their original layouts; also NAC_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Number of seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Run only this experiment; may be repeated [default: listops and cifar10]
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "all")]
    only: Vec<Experiment>,
    /// Run the experiments of all modalities whose data are here or generated: some hours in the quick profile
    #[arg(long)]
    all: bool,
    /// auto, cpu, cuda or cuda:N; as --set device=…
    #[arg(long)]
    device: Option<String>,
    /// Change a setting of all runs, such as training.steps=100; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Override>,
    /// Download nothing
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProfileChoice {
    Quick,
    Paper,
    Auto,
}

pub(crate) fn command(args: Args) -> Result<ExitCode> {
    let command = typed(std::env::args_os());
    let progress = DataProgress::default();
    let mut overrides = args.set.clone();
    if let Some(device) = &args.device {
        overrides.push(format!("device=\"{device}\"").parse()?);
    }
    // The device that the runs will take; a wrong name or a device that does not answer is an error now.
    let device = open_device(&with(&overrides)?.device)?;
    let profile = match args.profile {
        ProfileChoice::Quick => Profile::Quick,
        ProfileChoice::Paper => Profile::Paper,
        ProfileChoice::Auto => {
            let (profile, text) = Profile::choose(device.is_cuda());
            progress.note(&text);
            profile
        }
    };
    let dirs = DataDirs::discover(args.data_dir)?;
    let mut options = RunOptions::new(dirs.clone());
    let interrupt = Interrupt::on_signals()?;
    options.interrupt = interrupt.clone();
    let request = Request {
        profile,
        only: if args.all {
            Experiment::ALL.to_vec()
        } else {
            args.only
        },
        seeds: args.seeds,
        changed: changed(&overrides)?,
        overrides,
        out: args.out,
        dirs,
        offline: args.offline,
        command: command.clone(),
    };
    let mut training = Training {
        options,
        program: Some(std::env::current_exe().context("cannot find this program")?),
    };
    let done = reproduce::reproduce(&request, &mut training, &progress)
        .with_context(|| format!("reproduce-paper in {}", request.out.display()))?;
    output::report(terminal_table(&done.report.rows, None));
    output::report(format_args!("report   {}", done.written.html.display()));
    output::report(format_args!("results  {}", done.written.json.display()));
    if done.stopped {
        output::report(format_args!("stopped; to go on: {command}"));
        let signal = interrupt.raised().unwrap_or(StopSignal::Interrupt);
        return Ok(ExitCode::from(signal.exit_code()));
    }
    if done.failed > 0 {
        output::note(format_args!(
            "error: {} of the runs failed; to try them again: {command}",
            done.failed
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Default settings with these overrides.
fn with(overrides: &[Override]) -> Result<RunConfig> {
    Ok(from_toml("", Path::new("defaults"), overrides)?)
}

/// Whether overrides change more than where to run.
fn changed(overrides: &[Override]) -> Result<bool> {
    Ok(!nac_train::config::differences(&RunConfig::default(), &with(overrides)?).is_empty())
}

/// The command as it could be typed into a shell again.
fn typed(words: impl Iterator<Item = OsString>) -> String {
    let quoted = |word: String| {
        let plain = !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c));
        if plain {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let name = Path::new(&program)
        .file_stem()
        .map_or_else(|| "nac".into(), |stem| stem.to_string_lossy().into_owned());
    std::iter::once(name)
        .chain(words.map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_again() {
        let words = [
            "/opt/bin/nac",
            "reproduce-paper",
            "--set",
            "data.augment=[\"a b\"]",
            "--out",
            "it's",
        ];
        let text = typed(words.into_iter().map(OsString::from));
        assert_eq!(
            text,
            "nac reproduce-paper --set 'data.augment=[\"a b\"]' --out 'it'\\''s'"
        );
    }

    #[test]
    fn where_to_run_is_no_change() {
        let of = |texts: &[&str]| {
            let overrides: Vec<Override> = texts.iter().map(|text| text.parse().unwrap()).collect();
            changed(&overrides).unwrap()
        };
        assert!(!of(&["device=cpu", "threads=2"]));
        assert!(of(&["device=cpu", "training.steps=3"]));
    }
}
