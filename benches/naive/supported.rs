//! The settings that are transcribed.

use nac_modules::circuit::CircuitConfig;
use nac_modules::model::{ImageTokenizer, ModelConfig, ModelKind};
use nac_modules::{ModuleError, Result};

/// Refuses models other than the final configuration at any size, and Perceiver IO.
pub(super) fn check(config: &ModelConfig) -> Result<()> {
    if config.image_tokenizer != ImageTokenizer::Convnext {
        return refuse("image_tokenizer", "only `convnext` is transcribed");
    }
    if config.kind == ModelKind::Nac {
        check_circuit(&config.circuit)?;
    }
    Ok(())
}

fn check_circuit(config: &CircuitConfig) -> Result<()> {
    let plain = CircuitConfig::default();
    let mut config = config.clone();
    config.modules = plain.modules;
    config.read_out_modules = plain.read_out_modules;
    config.state_dim = plain.state_dim;
    config.signature_dim = plain.signature_dim;
    config.propagators = plain.propagators;
    let (ours, theirs) = (&mut config.read_in, &plain.read_in);
    ours.attention.heads = theirs.attention.heads;
    ours.attention.head_dim = theirs.attention.head_dim;
    ours.ffn.capacity_factor = theirs.ffn.capacity_factor;
    let (ours, theirs) = (&mut config.propagator, &plain.propagator);
    ours.attention.heads = theirs.attention.heads;
    ours.attention.head_dim = theirs.attention.head_dim;
    ours.ffn.capacity_factor = theirs.ffn.capacity_factor;
    let (ours, theirs) = (&mut config.read_out, &plain.read_out);
    ours.attention.heads = theirs.attention.heads;
    ours.attention.head_dim = theirs.attention.head_dim;
    ours.ffn.capacity_factor = theirs.ffn.capacity_factor;
    if config == plain {
        Ok(())
    } else {
        refuse("circuit", "an option other than a size is not its default")
    }
}

fn refuse<T>(name: &str, reason: &str) -> Result<T> {
    Err(ModuleError::Setting {
        name: name.into(),
        value: "(naive transcription)".into(),
        reason: reason.into(),
    })
}
