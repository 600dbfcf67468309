//! `cargo xtask bench`: named sets of measurements, each in a separate process, engines interleaved.
//!
//! In every round of a case each variant runs once (A B A B …), so that a busy moment of the machine hits all of them;
//! results are the best over rounds. This program never links libtorch: it starts `nac-measure` and `nac-gemm-peak`.

mod machine;
mod program;
mod results;
mod set;
mod table;

use nac_data::output;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use crate::cli::BenchOptions;
use crate::setup;
use crate::workspace::{Workspace, output};
use machine::{Machine, load};
use program::Program;
use results::{CaseResult, Results, SetResult, VariantResult};
pub(crate) use set::SetName;
use set::{Allocator, Case, Variant};

/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs sets, one after another.
pub(crate) fn run(
    workspace: &Workspace,
    sets: &[SetName],
    options: &BenchOptions,
) -> Result<ExitCode> {
    setup::ensure(workspace)?;
    let measure = Program::build(workspace, "nac-benches", "nac-measure")?;
    let gemm = Program::build(workspace, "nac-gemm-peak", "nac-gemm-peak")?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
    let machine = Machine::here();
    for &set in sets {
        let word = options
            .machine
            .clone()
            .unwrap_or_else(|| machine.word(set.on_cuda()));
        let path = options.out.clone().unwrap_or_else(|| {
            workspace
                .root()
                .join(format!("docs/results/bench-{word}.json"))
        });
        let mut session = Session {
            results: Results::read(&path)?,
            path,
            measure: measure.clone(),
            gemm: gemm.clone(),
            stop: Arc::clone(&stop),
            rounds: options.rounds,
            logits: tempfile::tempdir()?,
        };
        let set_result = SetResult {
            command: format!("cargo xtask bench {set}"),
            revision: revision(workspace),
            machine: machine.clone(),
            load: [load(), None],
            finished: false,
            gemm: Vec::new(),
            cases: Vec::new(),
        };
        session.run(set, set_result)?;
        if stop.load(Ordering::Relaxed) {
            output::note("stopped; what was finished is kept");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The commit, and whether files differ from it.
fn revision(workspace: &Workspace) -> String {
    let mut command = Command::new("git");
    command
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(workspace.root());
    output(&mut command).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

/// A set that is being measured.
struct Session {
    results: Results,
    path: PathBuf,
    measure: Program,
    gemm: Program,
    stop: Arc<AtomicBool>,
    rounds: usize,
    /// Folder for the baseline's logits.
    logits: tempfile::TempDir,
}

impl Session {
    fn run(&mut self, set: SetName, mut result: SetResult) -> Result<()> {
        let cases = set::cases(set);
        let count: usize = cases.iter().map(|case| case.variants.len()).sum();
        let total = count * self.rounds;
        let mut done = 0;
        self.peak(set, &mut result)?;
        for case in &cases {
            let variants = case
                .variants
                .iter()
                .map(|v| self.planned(case, v))
                .collect();
            let name = case.name.clone();
            result.cases.push(CaseResult { name, variants });
            let last = result.cases.len() - 1;
            for _ in 0..self.rounds {
                for (index, variant) in case.variants.iter().enumerate() {
                    done += 1;
                    if self.stopped() {
                        break;
                    }
                    let found = &mut result.cases[last].variants[index];
                    if found.failure.is_none() {
                        self.once(case, variant, found);
                        output::note(format_args!(
                            "[{done}/{total}] {}: {}",
                            case.name,
                            told(found)
                        ));
                        self.save(set, &result)?;
                    }
                }
            }
        }
        if !self.stopped() {
            self.peak(set, &mut result)?;
        }
        result.finished = !self.stopped();
        result.load[1] = load();
        self.save(set, &result)?;
        output::report(table::table(&result));
        for note in result.cases.iter().filter_map(table::attention_alone) {
            output::report(&note);
        }
        output::report(peaks(&result));
        output::note(format_args!("written to {}", self.path.display()));
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Writes the file. An unfinished set is kept beside the last finished one.
    fn save(&mut self, set: SetName, result: &SetResult) -> Result<()> {
        let (name, unfinished) = (set.to_string(), format!("{set} (unfinished)"));
        let sets = &mut self.results.sets;
        if result.finished {
            sets.remove(&unfinished);
            sets.insert(name, result.clone());
        } else {
            sets.insert(unfinished, result.clone());
        }
        self.results.write(&self.path)
    }

    /// Measures matrix products, before and after the cases.
    fn peak(&mut self, set: SetName, result: &mut SetResult) -> Result<()> {
        if self.stopped() {
            return Ok(());
        }
        output::note("matrix products");
        let arguments: &[&str] = if set.on_cuda() { &["--cuda", "0"] } else { &[] };
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        match self.gemm.run(&arguments, Allocator::Default) {
            Ok(report) => result.gemm.push(report),
            Err(error) if self.stopped() => drop(error),
            Err(error) => return Err(error.context("nac-gemm-peak")),
        }
        self.save(set, result)
    }

    /// A variant before its first run.
    fn planned(&self, case: &Case, variant: &Variant) -> VariantResult {
        VariantResult {
            engine: variant.engine.into(),
            weights: variant.weights.into(),
            allocator: variant.allocator.to_string(),
            command: format!(
                "{} {}",
                self.measure.name(),
                arguments(case, variant).join(" ")
            ),
            runs: Vec::new(),
            failure: None,
        }
    }

    /// Measures a variant once.
    fn once(&self, case: &Case, variant: &Variant, found: &mut VariantResult) {
        let mut arguments = arguments(case, variant);
        if case.model {
            let file = self.logits.path().join(case.name.replace(' ', "-"));
            arguments.extend(exchange(&file, variant.engine == case.variants[0].engine));
        }
        match self.measure.run(&arguments, variant.allocator) {
            Ok(run) => found.runs.push(run),
            Err(error) if self.stopped() => drop(error),
            Err(error) => found.failure = Some(format!("{error:#}")),
        }
    }
}

/// Arguments of `nac-measure` for a variant.
fn arguments(case: &Case, variant: &Variant) -> Vec<String> {
    let words = [
        case.arguments.as_slice(),
        &variant.arguments,
        &["--json".into()],
    ];
    words.concat()
}

/// The baseline writes its logits; the others are compared with them, if there are any.
fn exchange(file: &Path, baseline: bool) -> Vec<String> {
    let name = file.display().to_string();
    if baseline {
        vec!["--write-logits".into(), name]
    } else if file.exists() {
        vec!["--compare".into(), name]
    } else {
        Vec::new()
    }
}

/// A variant's last run in words.
fn told(variant: &VariantResult) -> String {
    let VariantResult {
        engine,
        weights,
        allocator,
        ..
    } = variant;
    let seconds = variant
        .runs
        .last()
        .and_then(|run| run.pointer("/seconds/min")?.as_f64());
    let result = match (&variant.failure, seconds) {
        (Some(failure), _) => failure.clone(),
        (None, Some(seconds)) => format!("{seconds:.4} s"),
        (None, None) => "stopped".into(),
    };
    format!("{engine} {weights}, {allocator} allocator: {result}")
}

/// The measured peaks.
fn peaks(result: &SetResult) -> String {
    let rates = ["f32", "bf16"].into_iter().filter_map(|kind| {
        let rate = result.peak(kind)? / 1e9;
        Some(format!("{kind} {rate:.0} GFLOP/s"))
    });
    format!(
        "peak of matrix products: {}",
        rates.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_writes_what_others_are_compared_with() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logits");
        assert_eq!(exchange(&file, true)[0], "--write-logits");
        assert!(
            exchange(&file, false).is_empty(),
            "nothing to compare with yet"
        );
        fs_err::write(&file, "").unwrap();
        assert_eq!(exchange(&file, false)[0], "--compare");
    }

    #[test]
    fn a_command_can_be_typed_as_it_is_recorded() {
        let case = &set::cases(SetName::Quick)[0];
        let words = arguments(case, &case.variants[0]).join(" ");
        let expected = "--model chonker --pass forward --batch 1 --repeat 5 --engine naive --weights f32 --json";
        assert_eq!(words, expected);
    }
}
