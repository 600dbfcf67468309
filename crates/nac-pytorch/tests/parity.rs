//! Every golden beside the tests on each executor and dtype, and the full set where `NAC_GOLDENS_DIR` says where it is.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use nac_pytorch::parity::{Engine, Options, Report, Status, run_folder};
use tch::Kind;

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// Runs a folder; no case may fail.
fn run(folder: &Path, engine: Engine, kind: Kind) -> Report {
    tch::set_num_threads(1); // as the goldens were made
    let options = Options {
        engine,
        kind,
        ..Options::default()
    };
    let report = run_folder(folder, &options, &mut |_| {}).unwrap();
    for case in &report.cases {
        let (name, reason) = (&case.case, &case.reason);
        assert!(!case.status.is_failure(), "{name}: {reason:?}");
    }
    report
}

fn with_status(report: &Report, status: Status) -> Vec<&str> {
    let cases = report.cases.iter().filter(|case| case.status == status);
    cases.map(|case| case.case.as_str()).collect()
}

#[test]
fn bundled_goldens_on_libtorch() {
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16] {
        let report = run(&bundled(), Engine::Torch, kind);
        let unsupported = with_status(&report, Status::Unsupported);
        assert_eq!(unsupported, UNSUPPORTED, "{kind:?}");
        assert_eq!(report.count(Status::Pass), BUNDLED - UNSUPPORTED.len());
    }
}

/// Goldens beside the tests.
const BUNDLED: usize = 71;
/// Of them, those with an option that is not built.
const UNSUPPORTED: [&str; 1] = ["a_modfc_ln_inputnorm_l2"];

#[test]
fn bundled_goldens_on_fused_blocks() {
    let report = run(&bundled(), Engine::Fused, Kind::Float);
    assert_eq!(with_status(&report, Status::Unsupported), UNSUPPORTED);
    let fused = report.cases.iter().filter(|case| case.fused_blocks > 0);
    let count = fused.count();
    assert!(count >= 12, "fused blocks ran in {count} cases");
}

/// What the core executor leaves out is training, and each reason says so.
#[test]
fn bundled_goldens_on_the_core_executor() {
    let report = run(&bundled(), Engine::Core, Kind::Float);
    let left_out = report
        .cases
        .iter()
        .filter(|case| case.status == Status::Unsupported && !UNSUPPORTED.contains(&&*case.case));
    let mut count = 0;
    for case in left_out {
        let reason = case.reason.as_deref().unwrap();
        let known = ["evaluation only", "needs a source of noise"];
        assert!(known.iter().any(|k| reason.contains(k)), "{reason}");
        count += 1;
    }
    assert_eq!(count, LEFT_OUT_ON_CORE);
    assert!(report.cases.iter().all(|case| {
        let mut names = case.tensors.iter().map(|t| &t.tensor);
        case.status != Status::Pass || names.any(|name| !name.starts_with("grad."))
    }));
}

/// Bundled goldens of training.
const LEFT_OUT_ON_CORE: usize = 17;

#[test]
fn the_full_set_on_all_executors() {
    let Some(folder) = std::env::var_os("NAC_GOLDENS_DIR").filter(|value| !value.is_empty()) else {
        let line = "SKIPPED: all goldens (set NAC_GOLDENS_DIR to the full set)";
        eprintln!("{line}");
        if let Some(log) = std::env::var_os("NAC_SKIP_LOG") {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log);
            writeln!(file.unwrap(), "{line}").unwrap();
        }
        return;
    };
    for (engine, kind) in [
        (Engine::Torch, Kind::Float),
        (Engine::Torch, Kind::Double),
        (Engine::Fused, Kind::Float),
        (Engine::Core, Kind::Float),
    ] {
        let report = run(Path::new(&folder), engine, kind);
        assert!(engine == Engine::Core || report.count(Status::Pass) >= 151);
    }
}
