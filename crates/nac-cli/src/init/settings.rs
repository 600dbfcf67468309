//! The commented settings file.

use std::fmt::Write as _;

use nac_core::model::InputKind;

use super::look::Found;
use super::modality::Modality;

/// Tokens along a side of an image.
const IMAGE_TOKENS: usize = 8;
/// Tokens of a text, at most.
const TEXT_TOKENS: usize = 64;

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
    writeln!(text, "seed = 0\n")
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

/// The tokenizer of the input; the files of a user are one input.
fn tokenizer(text: &mut String, found: &Found) -> std::fmt::Result {
    match found.info.inputs.iter().next().map(|(_, kind)| kind) {
        Some(&InputKind::Image { height, width, .. }) => {
            let pools = pools(height.min(width));
            writeln!(text, "image_tokenizer = \"conv-stem\"\n")?;
            writeln!(
                text,
                "[model.conv_stem]           # 3x3 convolutions; poolings make the tokens fewer"
            )?;
            writeln!(
                text,
                "widths = [24, 48, 64]\nstrides = [1, 1, 1]\npools = {pools:?}\ngrid_dim = 32\n"
            )
        }
        Some(&InputKind::Tokens { max_len, .. }) => {
            let window = max_len.div_ceil(TEXT_TOKENS).max(4);
            writeln!(text, "sequence_tokenizer = \"ngrams\"\n")?;
            writeln!(
                text,
                "[model.ngrams]              # a token is the n-grams of {window} bytes"
            )?;
            writeln!(text, "orders = [1, 2, 3, 4, 5]\nbuckets = 2048\ndim = 48")?;
            writeln!(text, "window = {window}\nposition_dim = 16\n")
        }
        Some(InputKind::Points { .. }) => {
            writeln!(
                text,
                "\n[model.points]              # each point is a token\ndim = 64\nbands = 4\n"
            )
        }
        _ => {
            writeln!(
                text,
                "\n[model.features]            # each column is a token"
            )?;
            writeln!(text, "dim = 32\nposition_dim = 32\n")
        }
    }
}

/// Poolings that leave about [`IMAGE_TOKENS`] tokens along a side.
fn pools(side: usize) -> [usize; 3] {
    let (mut pools, mut left) = ([1; 3], side);
    for pool in &mut pools {
        if left > IMAGE_TOKENS * 3 / 2 {
            (*pool, left) = (2, left / 2);
        }
    }
    pools
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poolings_leave_about_eight_tokens_a_side() {
        for (side, expected) in [
            (8, [1, 1, 1]),
            (16, [2, 1, 1]),
            (28, [2, 2, 1]),
            (64, [2, 2, 2]),
        ] {
            assert_eq!(pools(side), expected, "{side}");
        }
    }

    #[test]
    fn strings_are_toml() {
        for text in ["plain", "C:\\photos", "a \"b\""] {
            let table: toml::Table = toml::from_str(&format!("x = {}", quoted(text))).unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }
}
