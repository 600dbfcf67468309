//! Runs a model without libtorch and says how long it takes:
//!
//! ```sh
//! cargo run --release -p nac-engine --example run_model -- PRESET_OR_FOLDER \
//!     [--batch N] [--threads N] [--precision f32|bf16|int8] [--repeat N]
//! ```
//!
//! The model is a preset with random weights (untrained: for timing only), or a folder that
//! `nac export` wrote. Inputs are made up.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use nac_core::model::{ModelFile, Preset};
use nac_engine::{CoreEngine, Engine, EngineOptions, ModelWeights, RandomInputs};

const USAGE: &str = "usage: run_model [PRESET_OR_FOLDER] [--batch N] [--threads N] \
    [--precision f32|bf16|int8] [--repeat N]";

/// Options of the command line.
struct Options {
    model: String,
    batch: usize,
    repeat: usize,
    engine: EngineOptions,
}

impl Options {
    fn from(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            model: "cpu-digits".into(),
            batch: 1,
            repeat: 10,
            engine: EngineOptions::default(),
        };
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                options.model = word;
                continue;
            }
            let value = words.next().ok_or(USAGE)?;
            let number = || match value.parse::<usize>() {
                Ok(number) => Ok(number),
                Err(error) => Err(format!("{word} {value}: {error}")),
            };
            match word.as_str() {
                "--batch" => options.batch = number()?,
                "--repeat" => options.repeat = number()?,
                "--threads" => options.engine.threads = number()?,
                "--precision" => options.engine.precision = value.parse().map_err(|_| USAGE)?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

/// Settings and weights of a folder, or those of a preset with random numbers.
fn find(model: &str) -> Result<(ModelFile, ModelWeights), Box<dyn Error>> {
    let folder = Path::new(model);
    if folder.is_dir() {
        let file = ModelFile::read(&folder.join("model.toml"))?;
        return Ok((file, ModelWeights::read(folder.join("model.safetensors"))?));
    }
    let file = Preset::get(model)?.file;
    let (_, weights) = CoreEngine::random(file.clone(), 0, EngineOptions::default())?;
    Ok((file, weights))
}

fn main() -> Result<(), Box<dyn Error>> {
    let milliseconds = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let options = Options::from(std::env::args().skip(1))?;
    let precision = options.engine.precision;
    let (file, weights) = find(&options.model)?;
    let found = milliseconds(start);
    let engine = CoreEngine::new(file, &weights, options.engine)?;
    let loaded = milliseconds(start);
    let made = RandomInputs::new(engine.inputs(), options.batch, 0);
    let logits = engine.infer(&made.all())?;
    let first = milliseconds(start);
    let threads = engine.threads();
    println!("{}: {threads} threads, {precision}", options.model);
    println!("weights read or drawn after {found:9.2} ms");
    println!("model loaded after          {loaded:9.2} ms");
    println!(
        "first output after          {first:9.2} ms: logits {:?}",
        logits.dim()
    );
    let mut times = Vec::with_capacity(options.repeat);
    for _ in 0..options.repeat {
        let start = Instant::now();
        std::hint::black_box(engine.infer(&made.all())?);
        times.push(milliseconds(start));
    }
    times.sort_by(f64::total_cmp);
    if let (Some(least), Some(median)) = (times.first(), times.get(times.len() / 2)) {
        println!(
            "one batch of {:<4}          {least:9.3} ms at least, {median:.3} ms median",
            options.batch
        );
        println!(
            "examples per second         {:9.1}",
            options.batch as f64 / least * 1e3
        );
    }
    Ok(())
}
