//! Runs passes and takes time, memory and logits.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use nac_engine::Precision;
use nac_modules::device::open_device;
use nac_train::config::{Executor, Precision as TrainingPrecision};
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use super::engine::{self, EngineKind, ModelSource, Pass};
use super::record::{Measurement, Operations, Seconds};
use super::{Batch, Named, logits, memory};
use nac_core::model::spec::Algorithm;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// `chonker`, `tiny-nac`, `perceiver-io`, `listops`, `listops-perceiver-io`, the name of a preset, or a TOML file of a
    /// model that reads images or symbols
    #[arg(long)]
    pub model: String,
    /// Engine
    #[arg(long, value_enum)]
    pub engine: EngineKind,
    /// Pass
    #[arg(long, value_enum, default_value = "forward")]
    pub pass: Pass,
    /// Examples in a batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Threads; all cores if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Passes that are timed, after one that is not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Precision of the weights
    #[arg(long, default_value_t)]
    pub weights: Precision,
    /// What runs the blocks in training on engine `torch`: `auto`, `torch` or `fused`
    #[arg(long, default_value = "auto", value_parser = setting::<Executor>)]
    pub executor: Executor,
    /// Numbers that products are computed in, in training on engine `torch`: `float32` or `mixed`
    #[arg(long, default_value = "float32", value_parser = setting::<TrainingPrecision>)]
    pub precision: TrainingPrecision,
    /// `cpu`, `cuda`, `cuda:<index>` or `auto`
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// A safetensors file of weights, instead of those drawn from seed 0
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Write the logits to this safetensors file
    #[arg(long, value_name = "FILE")]
    pub write_logits: Option<PathBuf>,
    /// Compare with the logits in this file
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
}

/// A setting by the word that settings files use.
fn setting<T: DeserializeOwned>(word: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(word.into())
}

/// Name of a file of weights.
const WEIGHTS: &str = "weights.safetensors";

/// Measures. Only for the program `nac-measure`, which it may start again.
///
/// # Errors
/// The engine does not know the model, the memory does not suffice, a file cannot be read or written, or a pass fails.
pub fn run(options: &Options) -> Result<Measurement> {
    let model = Named::resolve(&options.model)?;
    let device = open_device(&options.device)?;
    let threads = match options.threads {
        Some(threads) => threads as usize,
        None => std::thread::available_parallelism()?.get(),
    };
    tch::set_num_threads(i32::try_from(threads)?);
    if options.engine == EngineKind::Naive && device == Device::Cpu {
        refuse_what_does_not_fit(&model, options)?;
    }
    let drawn = match options.engine {
        EngineKind::Core if options.load.is_none() => Some(drawn_elsewhere(&model)?),
        _ => None,
    };
    let drawn = drawn.as_ref().map(|folder| folder.path().join(WEIGHTS));
    let source = ModelSource {
        model: &model.file,
        device,
        weights: options.weights,
        threads,
        load: options.load.as_deref().or(drawn.as_deref()),
        pass: options.pass,
        executor: options.executor,
        precision: options.precision,
    };
    let begun = Instant::now();
    let mut engine = engine::open(options.engine, &source)?;
    let loading = begun.elapsed().as_secs_f64();
    let batch = Batch::random(&model, options.batch as usize, device, options.weights)?;
    let mut pass = || match options.pass {
        Pass::Forward => engine.forward(&batch),
        Pass::Gradients | Pass::Train => engine.train(&batch),
    };

    let start = memory::Start::now();
    let (first, mut last) = timed(&mut pass, device)?;
    let mut all = Vec::new();
    for _ in 0..options.repeat {
        let (seconds, result) = timed(&mut pass, device)?;
        all.push(seconds);
        last = result;
    }
    let memory = start.and_then(memory::Start::end);
    let seconds = Seconds::new(loading, first, all);

    let last = last.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    if let Some(path) = &options.write_logits {
        logits::write(&last, path)?;
    }
    let difference = match &options.compare {
        Some(path) => Some(logits::compare(&last, &logits::read(path)?)?),
        None => None,
    };
    let operations = operations(&model, options, seconds.min);
    Ok(Measurement {
        model: model.name,
        engine: options.engine,
        pass: options.pass,
        batch: options.batch as usize,
        threads,
        device: options.device.clone(),
        weights: options.weights.to_string(),
        environment: environment(),
        images_per_second: f64::from(options.batch) / seconds.min,
        seconds,
        operations,
        memory,
        logits: logits::describe(&last),
        difference,
    })
}

/// A folder with the weights of seed 0, drawn by another process of this program: neither libtorch nor copies of weights
/// shall leave memory behind in the process that is measured.
fn drawn_elsewhere(model: &Named) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("model.toml");
    std::fs::write(&settings, model.file.to_toml()?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("weights")
        .args([settings, folder.path().join(WEIGHTS)]);
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("the process that draws weights failed ({status})");
    }
    Ok(folder)
}

/// Seconds of a pass, and its logits.
fn timed(pass: &mut impl FnMut() -> Result<Tensor>, device: Device) -> Result<(f64, Tensor)> {
    let begun = Instant::now();
    let logits = pass()?;
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
    Ok((begun.elapsed().as_secs_f64(), logits))
}

/// Operations of a pass; none for a model whose settings make no sense.
fn operations(model: &Named, options: &Options, seconds: f64) -> Option<Operations> {
    let flops = |algorithm| {
        let count = model.count(algorithm).ok()?;
        Some(match options.pass {
            Pass::Forward => count.inference(options.batch as usize),
            Pass::Gradients | Pass::Train => count.training_step(options.batch as usize),
        })
    };
    let needed = flops(Algorithm::Folded)?;
    Some(Operations {
        needed,
        reference: flops(Algorithm::Reference)?,
        needed_per_second: needed as f64 / seconds,
    })
}

/// The transcription has tensors of tokens times modules times features; twice that much in a forward pass and seven
/// times in training was measured.
fn refuse_what_does_not_fit(model: &Named, options: &Options) -> Result<()> {
    let Some(available) = memory::available() else {
        return Ok(());
    };
    let Some(pairs) = model.count(Algorithm::Reference)?.pair_bytes() else {
        return Ok(());
    };
    let copies = match options.pass {
        Pass::Forward => 2,
        Pass::Gradients | Pass::Train => 7,
    };
    let needed = copies * pairs * u64::from(options.batch);
    if needed > available {
        bail!(
            "does not fit: about {:.0} GB are needed and {:.0} GB are free",
            needed as f64 / 1e9,
            available as f64 / 1e9
        );
    }
    Ok(())
}

/// Variables that change the allocator or the threads of libtorch.
fn environment() -> Vec<String> {
    let prefixes = [
        "MALLOC_",
        "GLIBC_TUNABLES",
        "LD_PRELOAD",
        "GOMP_",
        "OMP_",
        "KMP_",
    ];
    let variables =
        std::env::vars().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let mut variables: Vec<_> = variables
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    variables.sort();
    variables
}
