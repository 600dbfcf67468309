//! Stages of a circuit.

use nac_modules::circuit::CircuitConfig;
use nac_modules::{ModuleError, Result};

use super::product::{Work, attention, linear, product, special};
use super::stage::{Algorithm, Stage};

/// Modules with codes that one modulated layer of `inputs` features serves: `codes → inputs`, once for all images.
fn modulation(modules: usize, code_dim: usize, inputs: usize) -> Work {
    linear(modules, code_dim, inputs)
}

/// Feed-forward block of `modules` and what its modulation takes.
struct Ffn {
    work: Work,
    modulation: Work,
}

fn ffn(
    modules: usize,
    config: &CircuitConfig,
    settings: &nac_modules::layer::ModFfnConfig,
) -> Result<Ffn> {
    let (dim, code) = (config.state_dim, config.code_dim());
    let hidden = settings.hidden_dim(dim).map_err(ModuleError::from)?;
    let wide = hidden * settings.activation.width_factor();
    let work =
        linear(modules, dim, wide) + special(modules * hidden) + linear(modules, hidden, dim);
    Ok(Ffn {
        work,
        modulation: modulation(modules, code, dim) + modulation(modules, code, hidden),
    })
}

/// Stages between tokenizer and head, for `tokens` tokens of `token_dim`.
pub(super) fn stages(
    config: &CircuitConfig,
    (tokens, token_dim): (usize, usize),
    algorithm: Algorithm,
) -> Result<Vec<Stage>> {
    let (modules, readers) = (config.modules, config.read_out_modules);
    let (dim, code, signature) = (config.state_dim, config.code_dim(), config.signature_dim);
    let mut modulations = Work::default();
    let mut stages = Vec::new();

    // Read-in.
    let read = &config.read_in.attention;
    let (heads, head_dim) = (read.heads, read.head_dim);
    let inner = heads * head_dim;
    let query = linear(modules, dim, inner);
    let exit = linear(modules, inner, dim);
    let softmax = special(heads * modules * tokens);
    stages.push(match algorithm {
        Algorithm::Reference => {
            let pair = linear(modules * tokens, token_dim, inner);
            let weighing = product(modules, inner, tokens);
            Stage {
                name: "read-in attention",
                per_image: query + pair + pair + weighing + weighing + softmax + exit,
                per_call: Work::default(),
            }
        }
        Algorithm::Folded => {
            // Initial states are codes, so the queries, and what they fold to, are those of the model.
            let fold = linear(modules, head_dim, token_dim) * heads;
            let scores = product(modules, token_dim, tokens) * heads;
            Stage {
                name: "read-in attention",
                per_image: scores + scores + softmax + fold + exit,
                per_call: query + fold,
            }
        }
    });
    modulations = modulations
        + modulation(modules, code, dim)
        + modulation(modules, code, token_dim)
        + modulation(modules, code, token_dim)
        + modulation(modules, code, inner);
    let block = ffn(modules, config, &config.read_in.ffn)?;
    modulations = modulations + block.modulation;
    stages.push(Stage::of_images("read-in ffn", block.work));

    // Propagators.
    let mut links = Work::default();
    let (mut qkv, mut attend, mut exits, mut ffns) = Default::default();
    for layer in 0..config.propagators {
        let settings = config.propagator_at(layer);
        let (heads, head_dim) = (settings.attention.heads, settings.attention.head_dim);
        let inner = heads * head_dim;
        let block = ffn(modules, config, &settings.ffn)?;
        qkv = qkv + linear(modules, dim, inner) * 3;
        attend = attend + attention(modules, modules, heads, head_dim);
        exits = exits + linear(modules, inner, dim);
        ffns = ffns + block.work;
        let in_attention = modulation(modules, code, dim) * 3 + modulation(modules, code, inner);
        modulations = modulations + in_attention + block.modulation;
        if layer == 0 || algorithm == Algorithm::Reference {
            links = links + product(modules, signature, modules) + special(modules * modules);
        }
    }
    stages.push(Stage::of_images("propagators qkv", qkv));
    stages.push(Stage::of_images("propagators attention", attend));
    stages.push(Stage::of_images("propagators exit", exits));
    stages.push(Stage::of_images("propagators ffn", ffns));

    // Read-out.
    let (heads, head_dim) = (config.read_out.heads, config.read_out.head_dim);
    let inner = heads * head_dim;
    let block = ffn(readers, config, &config.read_out.ffn)?;
    let query = linear(readers, dim, inner);
    let gather = linear(modules, dim, inner) * 2
        + attention(readers, modules, heads, head_dim)
        + linear(readers, inner, dim)
        + block.work;
    stages.push(match algorithm {
        Algorithm::Reference => Stage::of_images("read-out", query + gather),
        Algorithm::Folded => Stage {
            name: "read-out",
            per_image: gather,
            per_call: query,
        },
    });
    modulations = modulations
        + modulation(readers, code, dim)
        + modulation(modules, code, dim) * 2
        + modulation(readers, code, inner)
        + block.modulation;
    links = links + product(readers, signature, modules) + special(readers * modules);
    stages.push(Stage::of_calls("modulation", modulations));
    stages.push(Stage::of_calls("links", links));
    Ok(stages)
}
