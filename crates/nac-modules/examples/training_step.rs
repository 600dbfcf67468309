//! Seconds and peak memory of training steps (forward and backward, no optimizer) of a preset.
//!
//! `cargo run --release -p nac-modules --example training_step -- imagenet-chonker 2 2 [fused|mixed|tape|plain]`
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Instant;

use nac_core::rng::Streams;
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::fused::{FusedExecutor, TrainingPrecision};
use nac_modules::model::{BuildModel, Inputs};
use nac_modules::params::ParamStore;
use nac_modules::presets::Preset;
use nac_modules::tape::Tape;
use tch::{Device, Kind, Tensor};

fn status(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib: f64 = line
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0);
    kib / 1024.0
}

/// Processor seconds of all threads of this process so far, in steps of 10 ms.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or("");
    let ticks: Vec<f64> = after_name
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // After the state letter: user and system time are fields 14 and 15 of the line.
    ticks
        .get(10..12)
        .map_or(0.0, |t| t.iter().sum::<f64>() / 100.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("imagenet-chonker", String::as_str);
    let number = |at: usize, default: i64| arguments.get(at).map_or(Ok(default), |a| a.parse());
    let (batch, steps) = (number(1, 2)?, number(2, 2)?);
    let how = arguments.get(3).map_or("fused", String::as_str);
    let fused = match how {
        "fused" => Some(TrainingPrecision::F32),
        "mixed" => Some(TrainingPrecision::Mixed),
        _ => None,
    };
    let threads = usize::try_from(tch::get_num_threads())?;
    let fused = fused.map(|precision| FusedExecutor::new(threads, precision));
    let fused = fused.transpose()?;
    let preset = Preset::get(name)?;
    let model = preset.build(ParamStore::new(Device::Cpu, Kind::Float, 1))?;
    let parameters: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
    let image = (Tensor::arange(batch * 3 * 224 * 224, (Kind::Float, Device::Cpu)) * 0.37)
        .sin()
        .view([batch, 3, 224, 224]);
    let labels = Tensor::arange(batch, (Kind::Int64, Device::Cpu));
    let inputs = Inputs::image(image);
    println!(
        "threads {}, before: {:.0} MB",
        tch::get_num_threads(),
        status("VmRSS:")
    );
    for step in 0..steps {
        let (begin, before) = (Instant::now(), processor_seconds());
        let mut noise = StreamNoise::new(Streams::new(1).child(&step.to_string()));
        let (mut tape, mut ctx) = (Tape::new(), ForwardContext::training(&mut noise));
        if how != "plain" {
            ctx = ctx.with_tape(&mut tape);
        }
        if let Some(executor) = &fused {
            ctx = ctx.with_fused(executor);
        }
        let output = model.forward(&inputs, &mut ctx)?;
        let loss = output.logits.cross_entropy_for_logits(&labels);
        let forward = begin.elapsed();
        drop(ctx);
        let gradients = tape.backward(&loss, &parameters)?;
        let norm: f64 = gradients
            .iter()
            .filter(|g| g.defined())
            .map(|g| g.norm().double_value(&[]).powi(2))
            .sum();
        println!(
            "step {step}: {:.3} s (forward {:.3} s), {:.2} processor seconds, loss {:.6}, gradient norm {:.6}",
            begin.elapsed().as_secs_f64(),
            forward.as_secs_f64(),
            processor_seconds() - before,
            loss.double_value(&[]),
            norm.sqrt()
        );
    }
    println!("peak: {:.0} MB", status("VmHWM:"));
    Ok(())
}
