//! Circuits: the reference's `LatentGraph`.

use serde_json::{Map, Value, json};

use super::blocks::{BlockOuter, propagator_settings, read_in_settings, read_out_settings};
use super::error::ReferenceError;
use super::latents::{InitialGraph, Learnable, latents_settings, seeder_settings};
use super::reader::Reader;
use nac_core::model::ReadInSends;
use nac_core::model::spec::CircuitSpec;
use nac_modules::circuit::{CircuitConfig, PropagatorConfig, WiringConfig};
use nac_modules::generator::{LatentsConfig, SeederConfig, StateMean};

type Result<T> = std::result::Result<T, ReferenceError>;

/// A `LatentGraph` of its own: generator and executor at the root of the parameter names.
pub(super) fn circuit(mut r: Reader<'_>) -> Result<CircuitSpec> {
    r.without_effect(&["cls"]);
    let (token_dim, state_dim) = (r.size("input_dim")?, r.size("state_dim")?);
    // Without a head on the read-out there is no need to say it.
    let output_dim = r.optional_size("output_dim")?.unwrap_or(state_dim);
    let (config, _) = circuit_settings(r, state_dim)?;
    Ok(config.resolve_at("", token_dim, output_dim)?)
}

/// Arguments of `LatentGraph`; those that a `NeuralCompiler` passes on itself must be read before.
pub(super) fn circuit_settings(
    mut r: Reader<'_>,
    state_dim: usize,
) -> Result<(CircuitConfig, Vec<InitialGraph>)> {
    let outer = BlockOuter::defaults().read(&mut r)?;
    let wiring = wiring(&mut r)?;
    r.without_effect(&["gradient_checkpoint_read_in"]);
    let learnable = Learnable {
        codes: r.flag("learnable_codes", true)?,
        signatures: r.flag("learnable_signatures", true)?,
    };
    let mut initial_graphs = Vec::new();
    let seeder = seeder(&mut r, outer.code_noise)?;
    let learned = seeder.mean == StateMean::Learned;
    let mut latents = |r: &mut Reader<'_>, key, name| -> Result<LatentsConfig> {
        let mut inner = r.table(key)?;
        if !learned {
            let reason = "initial states come from the seeder";
            inner.only("learnable_initial_states", &json!(false), reason)?;
        }
        inner.without_effect(&["learnable_initial_states"]);
        let (config, graph) = latents_settings(&mut inner, name, learnable)?;
        inner.finish()?;
        initial_graphs.extend(graph);
        Ok(config)
    };
    let read_in_latents = latents(&mut r, "input_latent_kwargs", "input_latents")?;
    let processor_latents = latents(&mut r, "mediator_latent_kwargs", "mediator_latents")?;
    let read_out_latents = latents(&mut r, "output_latent_kwargs", "output_latents")?;

    let class = r.word("read_in_cls")?.unwrap_or("AttentiveReadIn");
    let mut inner = r.table("read_in_kwargs")?;
    let read_in = read_in_settings(&mut inner, class, &outer)?;
    inner.finish()?;
    let mut inner = r.table("read_out_kwargs")?;
    let read_out = read_out_settings(&mut inner, &outer)?;
    inner.finish()?;

    let propagators = r.size("num_iterations")?;
    // Shared propagators are one.
    let different = if wiring.share_propagators {
        1
    } else {
        propagators
    };
    let mut layers = propagator_layers(&mut r, different, &outer)?;
    let propagator = layers.first().cloned().unwrap_or_default();
    if layers.iter().all(|layer| *layer == propagator) {
        layers.clear();
    }
    let modules = r.size("num_mediator_latents")?;
    let code_dim = r.optional_size("code_dim")?;
    let config = CircuitConfig {
        modules,
        read_in_modules: match r.optional_size("num_input_latents")? {
            Some(count) if wiring.separate_read_in_modules && count != modules => Some(count),
            _ => None,
        },
        read_out_modules: r.size("num_output_latents")?,
        state_dim,
        code_dim: code_dim.filter(|dim| *dim != state_dim),
        signature_dim: r.size("signature_dim")?,
        propagators,
        drop_path: outer.drop_path,
        mod_fc: outer.projections.attention.clone(),
        read_in,
        propagator,
        propagator_layers: layers,
        read_out,
        wiring,
        seeder,
        read_in_latents,
        processor_latents,
        read_out_latents,
        ..Default::default()
    };
    r.finish()?;
    Ok((config, initial_graphs))
}

fn wiring(r: &mut Reader<'_>) -> Result<WiringConfig> {
    let become_processors = r.flag("use_input_states_as_mediator_states", false)?;
    let to_processors = !r.flag("disable_input_mediator_communication", false)?;
    let to_read_out = r.flag("enable_input_output_communication", true)?;
    let separate = !r.flag("disable_input_latents", false)?;
    let by_processors = r.flag("use_mediator_codes_to_obtain_input_states", false)?;
    if separate == by_processors {
        let reason = "goes together with disable_input_latents";
        let key = "use_mediator_codes_to_obtain_input_states";
        return Err(r.unsupported(key, &json!(by_processors), reason));
    }
    let persistent = r.flag("enable_persistent_input_mediator_communication", true)?;
    Ok(WiringConfig {
        read_in_states_become_processors: become_processors,
        separate_read_in_modules: separate,
        read_in_sends_to_processors: match (to_processors, persistent) {
            (false, _) => ReadInSends::Never,
            (true, false) => ReadInSends::First,
            (true, true) => ReadInSends::Every,
        },
        read_in_sends_to_read_out: to_read_out,
        share_propagators: r.flag("share_propagator_weights", true)?,
        share_propagator_ffn: r.flag("share_ffn_between_propagators", false)?,
        codes_per_propagator: !r.flag("share_codes_between_iterations", true)?,
        allow_disconnected: !(become_processors || to_processors || to_read_out),
    })
}

fn seeder(r: &mut Reader<'_>, code_noise: f64) -> Result<SeederConfig> {
    let seeded = r.flag("use_latent_seeder", true)?;
    let noisy = r.flag("use_code_noise_in_latent_seeder", false)?;
    let mut inner = r.table("latent_seeder_kwargs")?;
    let code_noise = if noisy { code_noise } else { 0.0 };
    let settings = seeder_settings(&mut inner, code_noise)?;
    inner.finish()?;
    Ok(if seeded {
        settings
    } else {
        SeederConfig {
            mean: StateMean::Learned,
            ..Default::default()
        }
    })
}

/// Settings of each propagator: `propagator_kwargs`, over which `propagator_layerwise_kwargs` puts the entry of
/// each list that belongs to the layer.
fn propagator_layers(
    r: &mut Reader<'_>,
    count: usize,
    outer: &BlockOuter,
) -> Result<Vec<PropagatorConfig>> {
    let empty = json!({});
    let shared = r.raw("propagator_kwargs").filter(|v| !v.is_null());
    let layerwise = r
        .raw("propagator_layerwise_kwargs")
        .filter(|v| !v.is_null());
    let mut layers = Vec::with_capacity(count);
    for layer in 0..count {
        let mut merged = shared.unwrap_or(&empty).clone();
        if let Some(layerwise) = layerwise {
            let path = r.path("propagator_layerwise_kwargs");
            merge(&mut merged, &pick(layerwise, layer, count, &path)?);
        }
        let mut inner = Reader::new(&r.path("propagator_kwargs"), &merged)?;
        layers.push(propagator_settings(&mut inner, outer)?);
        inner.finish()?;
    }
    Ok(layers)
}

/// `value` with every list replaced by its entry for `layer`.
fn pick(value: &Value, layer: usize, count: usize, path: &str) -> Result<Value> {
    match value {
        Value::Object(table) => table
            .iter()
            .map(|(key, inner)| {
                let path = format!("{path}.{key}");
                Ok(nested(key, pick(inner, layer, count, &path)?))
            })
            .collect::<Result<Vec<_>>>()
            .map(|entries| {
                let mut table = Value::Object(Map::new());
                entries.iter().for_each(|entry| merge(&mut table, entry));
                table
            }),
        Value::Array(entries) => match entries.get(layer) {
            Some(entry) if entries.len() == count => Ok(entry.clone()),
            _ => Err(ReferenceError::Unsupported {
                path: path.to_owned(),
                value: value.to_string(),
                reason: format!("must have one entry for each of {count} iterations"),
            }),
        },
        other => Ok(other.clone()),
    }
}

/// `value` in the tables that a key such as `ffn_kwargs/path_drop_prob` leads through.
fn nested(key: &str, value: Value) -> Value {
    key.rsplit('/').fold(value, |value, key| {
        Value::Object([(key.to_owned(), value)].into_iter().collect())
    })
}

/// Puts `over` over `base`, table by table.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
