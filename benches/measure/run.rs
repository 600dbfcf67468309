//! Runs passes and takes time, memory and logits.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use nac_modules::device::open_device;
use nac_modules::model::InputSpec;
use nac_modules::params::TensorFile;
use nac_modules::presets::Preset;
use tch::{Device, Kind, Tensor};

use super::engine::{self, Batch, EngineKind, Pass, Weights};
use super::memory;
use super::record::{Difference, Logits, Measurement, Seconds};

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// `chonker`, `tiny-nac`, `perceiver-io`, `tiny-perceiver-io`, or the name of any preset of images
    #[arg(long)]
    pub model: String,
    /// Who runs it
    #[arg(long, value_enum)]
    pub engine: EngineKind,
    /// What is run
    #[arg(long, value_enum, default_value = "forward")]
    pub pass: Pass,
    /// Images in a batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Threads; all cores if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Passes that are timed, after one that is not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Precision of the weights
    #[arg(long, value_enum, default_value = "f32")]
    pub weights: Weights,
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

/// The preset that a model's name stands for.
///
/// # Errors
/// There is no such preset, or it does not read images.
pub fn resolve(model: &str) -> Result<Preset> {
    let name = match model {
        "chonker" => "imagenet-chonker",
        "tiny-nac" => "tiny-imagenet-scale-free",
        "perceiver-io" => "imagenet-perceiver-io",
        "tiny-perceiver-io" => "tiny-imagenet-perceiver-io",
        other => other,
    };
    let preset = Preset::get(name)?;
    if !matches!(preset.input, InputSpec::Image { .. }) {
        bail!("`{name}` does not read images; only such presets are measured");
    }
    Ok(preset)
}

/// Measures.
///
/// # Errors
/// The engine does not know the model, a file cannot be read or written, or a pass fails.
pub fn run(options: &Options) -> Result<Measurement> {
    let preset = resolve(&options.model)?;
    let device = open_device(&options.device)?;
    let threads = match options.threads {
        Some(threads) => {
            tch::set_num_threads(i32::try_from(threads)?);
            threads as usize
        }
        None => usize::try_from(tch::get_num_threads())?,
    };
    let mut engine =
        engine::open(
            options.engine,
            &preset,
            device,
            options.weights,
            |store| match &options.load {
                Some(path) => {
                    let file = TensorFile::read(path)?;
                    Ok(store.import(&path.display().to_string(), &file.tensors)?)
                }
                None => Ok(()),
            },
        )?;
    let batch = batch(&preset, options.batch, device, options.weights);
    let mut pass = || match options.pass {
        Pass::Forward => engine.forward(&batch),
        Pass::Train => engine.train(&batch),
    };
    let start = memory::Start::now();
    let (first, mut logits) = timed(&mut pass, device)?;
    let mut all = Vec::new();
    for _ in 0..options.repeat {
        let (seconds, result) = timed(&mut pass, device)?;
        (logits, _) = (result, all.push(seconds));
    }
    let memory = start.and_then(memory::Start::end);
    let seconds = Seconds::new(first, all);
    let logits = logits.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    if let Some(path) = &options.write_logits {
        let mut file = TensorFile::default();
        file.tensors.insert("logits".into(), logits.shallow_clone());
        std::fs::write(path, file.to_bytes()?).with_context(|| path.display().to_string())?;
    }
    let difference = match &options.compare {
        Some(path) => {
            let file = TensorFile::read(path)?;
            let theirs = file.tensors.get("logits");
            let theirs = theirs.with_context(|| format!("{}: no logits", path.display()))?;
            Some(compare(&logits, theirs)?)
        }
        None => None,
    };
    Ok(Measurement {
        preset: preset.name.into(),
        engine: options.engine,
        pass: options.pass,
        batch: options.batch as usize,
        threads,
        device: options.device.clone(),
        weights: options.weights,
        allocator: allocator(),
        images_per_second: f64::from(options.batch) / seconds.min,
        seconds,
        memory,
        logits: describe(&logits),
        difference,
    })
}

/// Random images and labels, the same for all engines.
fn batch(preset: &Preset, size: u32, device: Device, weights: Weights) -> Batch {
    let InputSpec::Image {
        channels,
        height,
        width,
    } = preset.input
    else {
        unreachable!("`resolve` refuses other inputs");
    };
    let shape = [
        i64::from(size),
        channels as i64,
        height as i64,
        width as i64,
    ];
    tch::manual_seed(1);
    let image = Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(
        preset.classes as i64,
        [shape[0]],
        (Kind::Int64, Device::Cpu),
    );
    let kind = match weights {
        Weights::Bf16 => Kind::BFloat16,
        Weights::F32 | Weights::Int8 => Kind::Float,
    };
    Batch {
        image: image.to_kind(kind).to_device(device),
        labels: labels.to_device(device),
    }
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

fn describe(logits: &Tensor) -> Logits {
    Logits {
        sum: logits.sum(Kind::Double).double_value(&[]),
        largest: logits.abs().max().double_value(&[]),
        finite: logits.isfinite().all().int64_value(&[]) == 1,
    }
}

fn compare(ours: &Tensor, theirs: &Tensor) -> Result<Difference> {
    if ours.size() != theirs.size() {
        bail!(
            "logits of {:?} cannot be compared with {:?}",
            ours.size(),
            theirs.size()
        );
    }
    let largest = (ours - theirs).abs().max().double_value(&[]);
    let same = ours.argmax(1, false).eq_tensor(&theirs.argmax(1, false));
    Ok(Difference {
        largest,
        relative: largest / theirs.abs().max().double_value(&[]),
        same_best: same
            .to_kind(Kind::Double)
            .mean(Kind::Double)
            .double_value(&[]),
    })
}

/// Variables that change glibc's allocator.
fn allocator() -> Vec<String> {
    let variables = std::env::vars().filter(|(name, _)| {
        name.starts_with("MALLOC_") || name == "GLIBC_TUNABLES" || name == "LD_PRELOAD"
    });
    let mut variables: Vec<_> = variables
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    variables.sort();
    variables
}
