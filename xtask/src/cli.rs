//! The command line of `cargo xtask`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The one entry point of this workspace. It needs cargo, a C++ compiler and, to get libtorch, python3
/// with pip; `cargo xtask doctor` says what is there and how to fix what is not.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make libtorch available, so that every cargo command and editor finds it
    Setup(SetupOptions),
    /// Say what was found on this machine, and the fix for what is missing
    Doctor,
    /// Run every test of the workspace, doc tests and examples (with the set-up, if needed)
    Test(TestOptions),
    /// Check format, house rules, dependencies, lints, documentation and packages; cheapest first
    Check(CheckOptions),
    /// Find or download data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Train a model: `train --config X.toml [--set key=value ...]`
    #[command(disable_help_flag = true)]
    Train(Rest),
    /// Evaluate a checkpoint
    #[command(disable_help_flag = true)]
    Eval(Rest),
    /// Run the main experiments and write the report, from nothing
    #[command(disable_help_flag = true)]
    ReproducePaper(Rest),
    /// Compare our layers with a folder of goldens, recorded from the reference: `parity DIR [--json FILE] ...`
    #[command(disable_help_flag = true)]
    Parity(Rest),
    /// Run the `nac` program with any arguments, after `--` or directly
    #[command(disable_help_flag = true)]
    Nac(Rest),
    /// Measure a named set against the authors' way of computing and the machine's own peak
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// One image through two circuits, a minute
    Quick(BenchOptions),
    /// Forward passes of three models at batch 1, 8 and 32: all engines, f32 and bf16
    Engine(BenchOptions),
    /// Training steps on the CPU
    Training(BenchOptions),
    /// Sampling sparse graphs of up to 50,000 modules, and propagators over edges and over pairs
    Sparse(BenchOptions),
    /// Training steps in bfloat16 on a CUDA device
    Cuda(BenchOptions),
    /// engine, training and sparse
    All(BenchOptions),
    /// The criterion benchmarks of every crate; a name picks those that contain it
    #[command(disable_help_flag = true)]
    Criterion(Rest),
}

/// Options of every set of `bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchOptions {
    /// Short word for this machine, part of the file's name; `cpu<cores>` or the GPU's if not given
    #[arg(long, value_name = "WORD")]
    pub(crate) machine: Option<String>,
    /// File for the results, instead of `docs/results/bench-MACHINE.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Processes for each engine of a case, interleaved with those of the others
    #[arg(long, default_value_t = 3, value_parser = positive)]
    pub(crate) rounds: usize,
}

/// An integer of at least 1.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be an integer of at least 1".into()),
    }
}

/// Options of `setup`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct SetupOptions {
    /// Take the CPU build, even where an NVIDIA driver answers
    #[arg(long, conflicts_with = "cuda")]
    pub(crate) cpu: bool,
    /// Take the CUDA build, even where no NVIDIA driver answers
    #[arg(long)]
    pub(crate) cuda: bool,
    /// Build libtorch in the cache again, even if one is ready
    #[arg(long)]
    pub(crate) force: bool,
}

/// Options of `test`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TestOptions {
    /// Folder with data sets in their original layouts, for the tests that need real data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Folder with all goldens (recordings of the reference implementation)
    #[arg(long, value_name = "DIR")]
    pub(crate) goldens: Option<PathBuf>,
    /// Run everything, even after a failure
    #[arg(long)]
    pub(crate) no_fail_fast: bool,
    /// Do not run the example programs
    #[arg(long)]
    pub(crate) no_examples: bool,
    /// More arguments for `cargo test`
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// Options of `check`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CheckOptions {
    /// Only the house rules: no compiler, no libtorch
    #[arg(long)]
    pub(crate) tidy: bool,
    /// Run every step, even after a failure
    #[arg(long)]
    pub(crate) keep_going: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Say where each data set was found, or how to get it
    List {
        /// Folder with data sets, searched first
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Read every example: counts for each part and class, digests, unreadable files
    Check {
        /// Name of the data set
        name: String,
        /// Folder with data sets, searched first
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Folder or file of the data themselves
        #[arg(long)]
        path: Option<PathBuf>,
    },
    /// Download a data set, check it and unpack it
    Get {
        /// Name of the data set
        name: String,
        /// Folder to put it in
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Another address of the archive, tried first; may be given several times
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
    },
}

/// Arguments handed on as they are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Rest {
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(crate) args: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const HELP: &str = "\
The one entry point of this workspace. It needs cargo, a C++ compiler and, to get libtorch, python3 with pip; `cargo xtask doctor` says what is there and how to fix what is not

Usage: cargo xtask <COMMAND>

Commands:
  setup            Make libtorch available, so that every cargo command and editor finds it
  doctor           Say what was found on this machine, and the fix for what is missing
  test             Run every test of the workspace, doc tests and examples (with the set-up, if needed)
  check            Check format, house rules, dependencies, lints, documentation and packages; cheapest first
  data             Find or download data sets
  train            Train a model: `train --config X.toml [--set key=value ...]`
  eval             Evaluate a checkpoint
  reproduce-paper  Run the main experiments and write the report, from nothing
  parity           Compare our layers with a folder of goldens, recorded from the reference: `parity DIR [--json FILE] ...`
  nac              Run the `nac` program with any arguments, after `--` or directly
  bench            Measure a named set against the authors' way of computing and the machine's own peak
  help             Print this message or the help of the given subcommand(s)

Options:
  -h, --help  Print help
";

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_lists_every_command() {
        assert_eq!(Cli::command().render_help().to_string(), HELP);
    }

    fn rest(words: &[&str]) -> Vec<OsString> {
        match Cli::try_parse_from(words).unwrap().command {
            Command::Train(rest)
            | Command::Nac(rest)
            | Command::ReproducePaper(rest)
            | Command::Parity(rest) => rest.args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_of_nac_pass_untouched() {
        let words = [
            "xtask", "train", "--config", "a b.toml", "--set", "x=1", "--help", "-v",
        ];
        assert_eq!(rest(&words), words[2..]);
        assert_eq!(
            rest(&["xtask", "nac", "--", "data", "list"]),
            ["data", "list"]
        );
        assert_eq!(rest(&["xtask", "reproduce-paper"]), [""; 0]);
        assert_eq!(
            rest(&["xtask", "parity", "d", "--json", "f"]),
            ["d", "--json", "f"]
        );
    }

    #[test]
    fn sets_take_options_and_criterion_takes_anything() {
        let words = [
            "xtask",
            "bench",
            "quick",
            "--rounds",
            "2",
            "--machine",
            "cpu2",
        ];
        match Cli::try_parse_from(words).unwrap().command {
            Command::Bench(BenchCommand::Quick(options)) => {
                assert_eq!((options.rounds, options.machine), (2, Some("cpu2".into())));
            }
            other => panic!("{other:?}"),
        }
        assert!(Cli::try_parse_from(["xtask", "bench", "engine", "--rounds", "0"]).is_err());
        let words = ["xtask", "bench", "criterion", "read_in", "--", "--quick"];
        match Cli::try_parse_from(words).unwrap().command {
            Command::Bench(BenchCommand::Criterion(rest)) => assert_eq!(rest.args, words[3..]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cpu_and_cuda_exclude_each_other() {
        assert!(Cli::try_parse_from(["xtask", "setup", "--cpu", "--cuda"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "setup", "--cpu", "--force"]).is_ok());
    }

    #[test]
    fn test_takes_arguments_of_cargo_after_two_dashes() {
        let words = [
            "xtask",
            "test",
            "--data-dir",
            "d",
            "--",
            "-p",
            "nac-core",
            "--",
            "--nocapture",
        ];
        match Cli::try_parse_from(words).unwrap().command {
            Command::Test(options) => {
                assert_eq!(options.data_dir, Some("d".into()));
                assert_eq!(options.args, ["-p", "nac-core", "--", "--nocapture"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
