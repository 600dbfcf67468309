//! Settings in one form, so that two that mean the same are equal.

use nac_modules::circuit::{CircuitConfig, ReadInKind};
use nac_modules::layer::{ModFcConfig, ProjectionKind};
use nac_modules::model::{ModelConfig, ModelKind};

/// The same settings with everything that is inherited written out, and what has no effect set to its default.
pub(super) fn normal_form(config: &ModelConfig) -> ModelConfig {
    let mut config = config.clone();
    config.embedding = Default::default();
    match config.kind {
        ModelKind::Nac => {
            config.perceiver_io = Default::default();
            resolve(&mut config.circuit);
        }
        ModelKind::PerceiverIo => {
            config.circuit = Default::default();
            let perceiver = &mut config.perceiver_io;
            perceiver.query_dim = perceiver
                .query_dim
                .filter(|&dim| dim != perceiver.latent_dim);
            perceiver.cross_head_dim = perceiver
                .cross_head_dim
                .filter(|&dim| dim != perceiver.head_dim);
        }
    }
    config
}

fn resolve(circuit: &mut CircuitConfig) {
    let (outer, drop_path) = (plain(&circuit.mod_fc), circuit.drop_path);
    let fill = |mod_fc: &mut Option<ModFcConfig>| {
        *mod_fc = Some(mod_fc.as_ref().map_or_else(|| outer.clone(), plain));
    };
    let (read_in, read_out) = (&mut circuit.read_in, &mut circuit.read_out);
    if read_in.kind == ReadInKind::Projection {
        read_in.attention = nac_modules::attention::ReadInAttentionConfig {
            mod_fc: read_in.attention.mod_fc.take(),
            ..Default::default()
        };
    }
    fill(&mut read_in.attention.mod_fc);
    fill(&mut read_in.ffn.mod_fc);
    fill(&mut read_out.mod_fc);
    fill(&mut read_out.ffn.mod_fc);
    read_in.drop_path.get_or_insert(drop_path);
    read_out.drop_path.get_or_insert(drop_path);
    for propagator in std::iter::once(&mut circuit.propagator).chain(&mut circuit.propagator_layers)
    {
        fill(&mut propagator.attention.mod_fc);
        fill(&mut propagator.ffn.mod_fc);
        propagator.drop_path.get_or_insert(drop_path);
    }
    // Everything is filled in, so nothing inherits from the circuit.
    let propagator = &circuit.propagator;
    circuit.drop_path = propagator.drop_path.unwrap_or(drop_path);
    circuit.mod_fc = propagator.attention.mod_fc.clone().unwrap_or_default();
    let (modules, state_dim) = (circuit.modules, circuit.state_dim);
    let separate = circuit.wiring.separate_read_in_modules;
    circuit.read_in_modules = circuit
        .read_in_modules
        .filter(|&count| separate && count != modules);
    circuit.code_dim = circuit.code_dim.filter(|&dim| dim != state_dim);
}

/// Only the settings that the kind of projection looks at.
fn plain(config: &ModFcConfig) -> ModFcConfig {
    match config.kind {
        ProjectionKind::ModFc => config.clone(),
        ProjectionKind::Fc => ModFcConfig {
            kind: config.kind,
            ..Default::default()
        },
        ProjectionKind::WModFc => ModFcConfig {
            kind: config.kind,
            weight_init_gain: config.weight_init_gain,
            ..Default::default()
        },
    }
}
