//! The commented settings file.

use std::fmt::Write as _;

use nac_core::model::InputKind;

use super::Modality;
use super::look::Found;

/// Tokens along a side of an image.
const IMAGE_TOKENS: usize = 8;

/// Settings of a circuit that learns from the files in minutes on two cores.
pub(super) fn text(name: &str, modality: Modality, found: &Found) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = head(&mut text, name, found);
    let _ = data(&mut text, modality, found);
    text +=
        "[model]\nkind = \"nac\"                # or perceiver-io, or stem-only, to compare\n\n";
    let _ = tokenizer(&mut text, found);
    text += CIRCUIT;
    let _ = training(&mut text, found);
    text
}

fn head(text: &mut String, name: &str, found: &Found) -> std::fmt::Result {
    let counts: Vec<String> = (found.parts.iter())
        .map(|part| format!("{} {}", part.examples, part.name))
        .collect();
    writeln!(
        text,
        "# A circuit for your own data: {} examples.",
        counts.join(", ")
    )?;
    writeln!(
        text,
        "# Written by `nac init`; change what you like. All settings: nac config --defaults"
    )?;
    writeln!(text, "#\n# Train:    nac train --config THIS_FILE")?;
    writeln!(text, "# Use it:   nac predict runs/{name} FILES\n")?;
    writeln!(
        text,
        "name = {}                # of the run, and of its folder below runs/",
        quoted(name)
    )?;
    writeln!(text, "seed = 0")?;
    writeln!(
        text,
        "threads = 1                 # of libtorch; more help larger models only\n"
    )
}

fn data(text: &mut String, modality: Modality, found: &Found) -> std::fmt::Result {
    let data = &found.data;
    let path = data.path.clone().unwrap_or_default();
    writeln!(text, "[data]\nname = {}", quoted(&data.name))?;
    writeln!(text, "path = {}", quoted(&path.display().to_string()))?;
    if found.unreadable {
        writeln!(
            text,
            "skip_unreadable = true      # some files cannot be read; nac init named them"
        )?;
    }
    match modality {
        Modality::Images => {
            let [height, width] = data.image.size.unwrap_or([64, 64]);
            let flip =
                "# augment = [\"horizontal_flip\"]  # if mirrored images are still of their class";
            writeln!(
                text,
                "augment = [\"random_crop:{}\"]  # training images only",
                (width / 16).max(1)
            )?;
            writeln!(text, "{flip}\n\n[data.image]")?;
            writeln!(
                text,
                "size = [{height}, {width}]             # height and width; larger is slower"
            )?;
            writeln!(
                text,
                "resize = \"crop\"             # crop: the shorter side fits; squash; pad"
            )?;
        }
        Modality::Texts => {
            writeln!(text, "\n[data.text]")?;
            writeln!(
                text,
                "max_len = {}               # bytes; longer texts lose their end",
                data.text.max_len
            )?;
            if path.is_file() {
                writeln!(text, "text_column = {}", quoted(&data.text.text_column))?;
                writeln!(text, "label_column = {}", quoted(&data.text.label_column))?;
            }
        }
        Modality::Points => {
            writeln!(text, "\n[data.points]")?;
            writeln!(
                text,
                "count = {}                 # points of a shape; more is slower",
                data.points.count
            )?;
        }
        Modality::Table => {
            let table = &data.table;
            let columns: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
            writeln!(
                text,
                "\n[data.table]\nlabel_column = {}",
                quoted(&table.label_column)
            )?;
            writeln!(
                text,
                "regression = {}          # true: the answer is a number, not a class",
                table.regression
            )?;
            writeln!(text, "columns = [{}]", columns.join(", "))?;
        }
    }
    writeln!(text)
}

/// The tokenizer of each kind of input.
fn tokenizer(text: &mut String, found: &Found) -> std::fmt::Result {
    for (_, kind) in found.info.inputs.iter() {
        match *kind {
            InputKind::Image { height, width, .. } => {
                let patch = height.min(width).div_ceil(IMAGE_TOKENS).max(1);
                writeln!(
                    text,
                    "[model.convnext]            # images become tokens of {patch}x{patch} pixels"
                )?;
                writeln!(text, "depths = [2]\ndims = [64]\nstem_patch = {patch}")?;
                writeln!(text, "grid_dim = 32\nlayer_scale = 1.0\n")?;
            }
            InputKind::Tokens { .. } => {
                writeln!(text, "[model.embedding]           # each byte is a token")?;
                writeln!(text, "dim = 48\nposition_dim = 16\n")?;
            }
            InputKind::Points { .. } => {
                writeln!(
                    text,
                    "[model.points]              # each point is a token\ndim = 64\nbands = 4\n"
                )?;
            }
            _ => {
                writeln!(text, "[model.features]            # each column is a token")?;
                writeln!(text, "dim = 32\nposition_dim = 32\n")?;
            }
        }
    }
    Ok(())
}

/// Sizes of the circuit and of the baseline.
const CIRCUIT: &str = r#"[model.circuit]             # larger learns more and takes longer
modules = 32
read_out_modules = 8
state_dim = 64
signature_dim = 32
propagators = 4
read_in.ffn.capacity_factor = 2.0
read_in.attention = { heads = 1, head_dim = 64 }
propagator.ffn.capacity_factor = 2.0
propagator.attention = { heads = 4, head_dim = 16 }
read_out.ffn.capacity_factor = 2.0
read_out.attention = { heads = 1, head_dim = 64 }

[model.perceiver_io]        # its latent_dim follows from baseline.match
depth = 4
latents = 32
cross_heads = 1
latent_heads = 4
head_dim = 16
ffn_multiplier = 2

[baseline]
match = "parameters"

"#;

fn training(text: &mut String, found: &Found) -> std::fmt::Result {
    let train = found.train();
    let batch = if train < 1000 { 16 } else { 32 };
    // Some ten passes, but neither too few to learn anything nor more than minutes.
    let steps = (10 * train / batch).clamp(200, 1500);
    let validation = (train / 10).clamp(1, 1000);
    let passes = steps as f64 * batch as f64 / train.max(1) as f64;
    writeln!(text, "[training]")?;
    writeln!(
        text,
        "steps = {steps}                 # {passes:.0} passes over the training examples"
    )?;
    writeln!(text, "batch_size = {batch}")?;
    writeln!(
        text,
        "eval_batch_size = 64\nevaluate_every = {}",
        steps / 10
    )?;
    writeln!(text, "checkpoint_every = {}", steps / 5)?;
    writeln!(
        text,
        "validation_examples = {validation}     # to look at on the way; test is left for the end\n"
    )?;
    writeln!(
        text,
        "[optimizer]\nlearning_rate = 2e-3\nwarmup_steps = {}\nclip_norm = 1.0\n",
        steps / 15
    )?;
    if found.info.output.class_count().is_some() {
        writeln!(
            text,
            "[loss]\nlabel_smoothing = 0.0       # the paper takes 0.1\n"
        )?;
    }
    writeln!(
        text,
        "[loss.graph_prior]          # draws the circuit's links towards a scale-free graph"
    )?;
    writeln!(text, "prior = {{ name = \"scale-free\" }}\nweight = 0.1")
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
