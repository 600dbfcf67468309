//! `nac-gemm-peak`: the fastest matrix product this machine does, over libraries and shapes.
//!
//! Prints one line of JSON. Results are given as shares of this peak; it is measured, not computed
//! from clocks and units, since that is what a program could reach.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints"
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod library;
mod shape;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use tch::Device;

use library::{Library, Operands};
use shape::Shape;

/// Measure the peak of matrix products.
#[derive(Debug, Parser)]
#[command(name = "nac-gemm-peak")]
struct Cli {
    /// Threads; all cores if not given. `matrixmultiply` uses at most four
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Milliseconds for each library and shape
    #[arg(long, default_value_t = 400)]
    milliseconds: u64,
    /// Index of a CUDA device, to measure libtorch there instead
    #[arg(long)]
    cuda: Option<usize>,
}

/// Result of one library on one shape.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    library: &'static str,
    kind: &'static str,
    shape: Shape,
    flop_per_second: f64,
}

/// The fastest entry of a precision.
#[derive(Debug, Clone, Serialize)]
struct Peak {
    kind: &'static str,
    library: &'static str,
    shape: Shape,
    flop_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    device: String,
    threads: usize,
    peaks: Vec<Peak>,
    entries: Vec<Entry>,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?.get();
    let threads = cli.threads.map_or(cores, |threads| threads as usize);
    tch::set_num_threads(i32::try_from(threads)?);
    let device = cli.cuda.map_or(Device::Cpu, Device::Cuda);
    let budget = Duration::from_millis(cli.milliseconds);
    let mut entries = Vec::new();
    for shape in Shape::all(device.is_cuda()) {
        for library in Library::on(device) {
            let mut operands = Operands::new(library, shape, device, threads)?;
            entries.push(Entry {
                library: library.name(),
                kind: library.precision().into(),
                shape,
                flop_per_second: shape.flops() / best(budget, || operands.multiply())?,
            });
        }
    }
    let report = Report {
        device: cli
            .cuda
            .map_or("cpu".into(), |index| format!("cuda:{index}")),
        threads,
        peaks: ["f32", "bf16"]
            .iter()
            .filter_map(|kind| peak(&entries, kind))
            .collect(),
        entries,
    };
    Ok(serde_json::to_string(&report)?)
}

/// Shortest time of a call, in seconds, after one that warms up; at least three calls.
fn best(budget: Duration, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    call()?;
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 0;
    while calls < 3 || begun.elapsed() < budget {
        let start = Instant::now();
        call()?;
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    Ok(best)
}

fn peak(entries: &[Entry], kind: &str) -> Option<Peak> {
    let of_kind = entries.iter().filter(|entry| entry.kind == kind);
    let best = of_kind.max_by(|a, b| a.flop_per_second.total_cmp(&b.flop_per_second))?;
    Some(Peak {
        kind: best.kind,
        library: best.library,
        shape: best.shape,
        flop_per_second: best.flop_per_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_best_of_its_kind() {
        let entry = |kind, library, flop_per_second| Entry {
            library,
            kind,
            shape: Shape::new(1, 2, 3),
            flop_per_second,
        };
        let entries = [
            entry("f32", "a", 1.0),
            entry("bf16", "b", 9.0),
            entry("f32", "c", 2.0),
        ];
        assert_eq!(peak(&entries, "f32").unwrap().library, "c");
        assert_eq!(peak(&entries, "bf16").unwrap().flop_per_second, 9.0);
        assert!(peak(&entries, "int8").is_none());
    }

    #[test]
    fn the_best_time_is_that_of_the_fastest_call() {
        let mut calls = 0;
        let best = best(Duration::ZERO, || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(if calls == 3 { 1 } else { 20 }));
            Ok(())
        });
        assert!((0.001..0.02).contains(&best.unwrap()));
        assert_eq!(calls, 4);
    }
}
