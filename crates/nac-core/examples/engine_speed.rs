//! How fast the engine runs a preset with random weights:
//! `cargo run --release -p nac-core --example engine_speed -- imagenet-chonker 1 2 f32`.
use std::time::Instant;

use nac_core::config::{InputSpec, ModelFile, Preset};
use nac_core::engine::{CoreEngine, Engine, EngineOptions, Input, Precision};
use ndarray::{Array2, Array4};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |i: usize, or: &str| arguments.get(i).map_or(or, String::as_str).to_owned();
    let preset = Preset::get(&text(1, "imagenet-chonker"))?;
    let (batch, threads): (usize, usize) = (text(2, "1").parse()?, text(3, "0").parse()?);
    let precision = match text(4, "f32").as_str() {
        "bf16" => Precision::Bf16,
        "int8" => Precision::Int8,
        _ => Precision::F32,
    };
    let start = Instant::now();
    let mut file = ModelFile::from_toml(preset.text)?;
    if let Ok(n) = std::env::var("PROP") {
        file.model.circuit.propagators = n.parse()?;
    }
    if let Ok(n) = std::env::var("MODS") {
        file.model.circuit.modules = n.parse()?;
    }
    let (engine, _) = CoreEngine::random(
        file,
        0,
        EngineOptions {
            threads,
            precision,
            ..Default::default()
        },
    )?;
    println!("loaded in {:.3} s", start.elapsed().as_secs_f64());
    let image;
    let tokens;
    let input = match engine.input() {
        InputSpec::Image {
            channels,
            height,
            width,
        } => {
            image = Array4::from_shape_fn((batch, channels, height, width), |(b, c, y, x)| {
                ((b + 3 * c + 5 * y + 7 * x) as f32).sin()
            });
            Input::Image(image.view())
        }
        InputSpec::Tokens { max_len, .. } => {
            tokens = Array2::ones((batch, max_len));
            Input::Tokens(tokens.view())
        }
    };
    let mut times = Vec::new();
    for _ in 0..text(5, "10").parse()? {
        let start = Instant::now();
        let logits = engine.infer(input)?;
        times.push(start.elapsed().as_secs_f64());
        std::hint::black_box(logits);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "min {:.4} s, median {:.4} s",
        times[0],
        times[times.len() / 2]
    );
    Ok(())
}
