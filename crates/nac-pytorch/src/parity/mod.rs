//! Comparison with goldens of the reference implementation, as `nac parity` makes it.
//!
//! ```text
//! folder ──► golden ──► case: build from the config, load, run with the recorded noise ──► report ──► table, JSON
//!                                         compare ◄── tolerance
//! ```
//!
//! The layers run on libtorch, with or without fused blocks, or on nac-engine ([`Engine`]), held to the same goldens by the same rules.
//!
//! A golden is a pair of files: the tensors and the metadata. The layer or model is built from the reference's own
//! configuration in the metadata, and from nothing else; a golden nobody has seen before runs like a known one.
//! [`tolerance`] says which error passes, and why.

mod case;
mod compare;
mod error;
mod golden;
mod json;
mod magnitude;
mod options;
mod report;
mod table;
pub mod tolerance;

use std::path::Path;
use std::time::Instant;

use tch::{Device, Kind};

pub use compare::{Comparison, Direction, compare};
pub use error::{ParityError, Result};
pub use golden::{Golden, Metadata, Mode, NoiseFloor, names};
pub use json::to_json;
pub use magnitude::largest_finite;
pub use options::{Engine, Options};
pub use report::{CaseReport, Report, Status};
pub use table::{plain_table, terminal_table};

/// Runs every golden of `folder`; `seen` is told each case as it ends.
///
/// # Errors
/// The folder cannot be read or holds no goldens, or `only` leaves none. What is wrong with one golden is the
/// [`Status::Error`] of its case, and the others still run.
pub fn run_folder(
    folder: &Path,
    options: &Options,
    seen: &mut dyn FnMut(&CaseReport),
) -> Result<Report> {
    let start = Instant::now();
    if !matches!(options.kind, Kind::Float | Kind::Double | Kind::BFloat16) {
        return Err(ParityError::Setting {
            name: "kind",
            value: format!("{:?}", options.kind),
            reason: "use float, double or bfloat16",
        });
    }
    if options.engine != Engine::Torch {
        if options.kind != Kind::Float {
            return Err(ParityError::Setting {
                name: "kind",
                value: format!("{:?}", options.kind).to_lowercase(),
                reason: "engines fused and core compute in float only",
            });
        }
        if options.device != Device::Cpu {
            return Err(ParityError::Setting {
                name: "device",
                value: format!("{:?}", options.device).to_lowercase(),
                reason: "engines fused and core run on the cpu only",
            });
        }
    }
    let mut names = names(folder)?;
    if let Some(part) = &options.only {
        names.retain(|name| name.contains(part.as_str()));
        if names.is_empty() {
            return Err(ParityError::Setting {
                name: "only",
                value: part.clone(),
                reason: "no golden's name contains this",
            });
        }
    }
    let mut cases = Vec::with_capacity(names.len());
    for name in names {
        let report = match Golden::read(folder, &name) {
            Ok(golden) => case::run(&golden, options),
            Err(error) => CaseReport::broken(&name, error.to_string()),
        };
        seen(&report);
        let stop = options.fail_fast && report.status.is_failure();
        cases.push(report);
        if stop {
            break;
        }
    }
    Ok(Report {
        engine: options.engine.word(),
        device: format!("{:?}", options.device),
        kind: format!("{:?}", options.kind),
        seconds: start.elapsed().as_secs_f64(),
        cases,
    })
}
