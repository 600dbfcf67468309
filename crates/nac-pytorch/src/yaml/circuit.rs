//! The arguments of the reference's `LatentGraph`, from a resolved circuit.
//!
//! Options stand where the reference's own settings files have them: what all blocks share on top, in a block
//! only what differs from that.

use nac_core::model::spec::{
    CircuitSpec, InputMixerSpec, ModFfnSpec, ModuleSetSpec, PropagatorSpec, ReadInSpec,
    ReadOutSpec, SkmdpaSpec,
};
use nac_core::model::{
    Activation, EvaluationLinks, KernelConfig, ModFcConfig, ProjectionKind, ScaleNormalization,
    SignatureStart, Truncation,
};
use serde_json::{Map, Value, json};

type Table = Map<String, Value>;

/// What blocks share.
struct Shared {
    heads: usize,
    head_dim: usize,
    capacity_factor: f64,
    layer_scale: Option<f64>,
    drop_path: f64,
    code_noise: f64,
    attention: ModFcConfig,
    ffn: ModFcConfig,
}

impl Shared {
    fn of(block: &PropagatorSpec) -> Self {
        Self {
            heads: block.attention.heads,
            head_dim: block.attention.head_dim,
            capacity_factor: capacity_factor(&block.ffn),
            layer_scale: block.attention.residual.layer_scale,
            drop_path: block.attention.residual.drop_path,
            code_noise: block.code_noise,
            attention: block.attention.query.mod_fc.clone(),
            ffn: block.ffn.expand.mod_fc.clone(),
        }
    }

    /// What differs from `outer`; all of it if there is none.
    fn over(&self, outer: Option<&Self>) -> Table {
        let mut table = Table::new();
        let mut put = |key: &str, differs: bool, value: Value| {
            if differs {
                table.insert(key.into(), value);
            }
        };
        let differs = |by: fn(&Self, &Self) -> bool| outer.is_none_or(|outer| by(self, outer));
        put(
            "num_heads",
            differs(|a, b| a.heads != b.heads),
            json!(self.heads),
        );
        put(
            "head_dim",
            differs(|a, b| a.head_dim != b.head_dim),
            json!(self.head_dim),
        );
        let capacity = differs(|a, b| a.capacity_factor != b.capacity_factor);
        put("ffn_capacity_factor", capacity, json!(self.capacity_factor));
        let scale = differs(|a, b| a.layer_scale != b.layer_scale);
        put("layer_scale_initial_value", scale, json!(self.layer_scale));
        put(
            "path_drop_prob",
            differs(|a, b| a.drop_path != b.drop_path),
            json!(self.drop_path),
        );
        let noise = differs(|a, b| a.code_noise != b.code_noise);
        put("code_noise_scale", noise, code_noise(self.code_noise));
        let attention = differs(|a, b| a.attention != b.attention);
        put("mod_fc_cls", attention, class(&self.attention));
        put("mod_fc_kwargs", attention, arguments(&self.attention));
        let inherited = match outer {
            Some(outer) if !attention => &outer.ffn,
            _ => &self.attention,
        };
        let ffn = self.ffn != *inherited;
        put("ffn_mod_fc_cls", ffn, class(&self.ffn));
        put("ffn_mod_fc_kwargs", ffn, arguments(&self.ffn));
        table
    }
}

fn capacity_factor(ffn: &ModFfnSpec) -> f64 {
    ffn.hidden as f64 / ffn.norm.dim as f64
}

/// The arguments of `LatentGraph`.
pub(super) fn circuit(spec: &CircuitSpec) -> Value {
    let (sets, steps) = (&spec.generator, &spec.propagations);
    let Some(first) = steps.first() else {
        return Value::Null; // a resolved circuit has at least one propagator
    };
    let second = steps.get(1).map(|step| &step.propagator);
    let attends_later = steps.get(1).unwrap_or(first).attends_to_read_in;
    let shared = Shared::of(&first.propagator);
    let seeder = &sets.seeder;
    let learned = sets.processors.learned_states.is_some();
    let mut table = shared.over(None);
    let own = json!({
        "code_dim": sets.processors.code_dim,
        "signature_dim": sets.processors.signature_dim,
        "num_input_latents": sets.readers().modules,
        "num_mediator_latents": sets.processors.modules,
        "num_output_latents": sets.read_out.modules,
        "num_iterations": steps.len(),
        "use_input_states_as_mediator_states": spec.starts_from_read_in,
        "disable_input_latents": sets.read_in.is_none(),
        "use_mediator_codes_to_obtain_input_states": sets.read_in.is_none(),
        "disable_input_mediator_communication": !first.attends_to_read_in,
        "enable_persistent_input_mediator_communication": attends_later,
        "enable_input_output_communication": spec.read_out_attends_to_read_in,
        "share_propagator_weights": second.is_some_and(|layer| layer.shares.is_some()),
        "share_ffn_between_propagators": second.is_some_and(|layer| layer.ffn.shares.is_some()),
        "share_codes_between_iterations": sets.processors.code_layers.is_none(),
        "use_latent_seeder": !learned,
        "use_code_noise_in_latent_seeder": false,
        "latent_seeder_kwargs": {
            "use_code_as_mean_state": seeder.projection.is_none() && !learned,
            "use_state_noise": seeder.projection.as_ref().is_some_and(|p| p.log_variance.is_some()),
            "code_noise_scale": code_noise(seeder.code_noise),
        },
        "input_latent_kwargs": latents(sets.read_in.as_ref().unwrap_or(&sets.processors)),
        "mediator_latent_kwargs": latents(&sets.processors),
        "output_latent_kwargs": latents(&sets.read_out),
        "read_in_cls": match spec.read_in.mixer {
            InputMixerSpec::Attention(_) => "AttentiveReadIn",
            InputMixerSpec::Projection(_) => "ProjectionReadIn",
        },
        "read_in_kwargs": read_in(&spec.read_in, &shared),
        "propagator_kwargs": propagator(&first.propagator, &shared),
        "read_out_kwargs": read_out(&spec.read_out, &shared),
    });
    if let Value::Object(own) = own {
        table.extend(own);
    }
    Value::Object(table)
}

fn read_in(spec: &ReadInSpec, outer: &Shared) -> Value {
    let ffn_scale = spec.ffn.residual.layer_scale;
    let mut block = Shared {
        heads: outer.heads,
        head_dim: outer.head_dim,
        capacity_factor: capacity_factor(&spec.ffn),
        layer_scale: outer.layer_scale,
        drop_path: spec.ffn.residual.drop_path,
        code_noise: spec.code_noise,
        attention: outer.attention.clone(),
        ffn: spec.ffn.expand.mod_fc.clone(),
    };
    match &spec.mixer {
        InputMixerSpec::Projection(projection) => block.attention = projection.mod_fc.clone(),
        InputMixerSpec::Attention(attention) => {
            (block.heads, block.head_dim) = (attention.heads, attention.head_dim);
            block.attention = attention.query.mod_fc.clone();
        }
    }
    let mut table = block.over(Some(outer));
    table.insert("ffn_kwargs".into(), ffn(&spec.ffn, ffn_scale));
    let mut put = |key: &str, value: Value| table.insert(key.into(), value);
    if ffn_scale != outer.layer_scale {
        put("ffn_layer_scale_initial_value", json!(ffn_scale));
    }
    if let InputMixerSpec::Attention(attention) = &spec.mixer {
        let scale = json!(attention.residual.layer_scale);
        put("read_in_layer_scale_initial_value", scale);
        let residual = json!(attention.residual.add);
        put("include_residual_in_read_in_attention", residual);
        let mut inner = json!({"qkv_bias": attention.query.bias});
        if attention.key.mod_fc != attention.query.mod_fc {
            inner["share_key_value_projectors"] = json!(true);
        }
        put("read_in_attention_kwargs", inner);
    }
    Value::Object(table)
}

fn propagator(spec: &PropagatorSpec, outer: &Shared) -> Value {
    let residual = &spec.attention.residual;
    let mut table = Shared::of(spec).over(Some(outer));
    let mut put = |key: &str, value: Value| table.insert(key.into(), value);
    put("latent_attention_kwargs", latent_attention(&spec.attention));
    put("ffn_kwargs", ffn(&spec.ffn, residual.layer_scale));
    if !residual.add {
        put("include_residual_in_latent_attention", json!(false));
    }
    Value::Object(table)
}

fn read_out(spec: &ReadOutSpec, outer: &Shared) -> Value {
    let mut table = propagator(&spec.propagator, outer);
    let residual = &spec.propagator.attention.residual;
    let norm = spec.projection.as_ref().is_some_and(|p| p.norm.is_some());
    table["include_residual_in_latent_attention"] = json!(residual.add);
    table["use_head"] = json!(spec.projection.is_some());
    table["pre_output_layernorm"] = json!(norm);
    table
}

fn latent_attention(spec: &SkmdpaSpec) -> Value {
    let mut table = json!({
        "kernel_type": "DotProductKernel",
        "kernel_kwargs": kernel(&spec.kernel.config),
        "mask_attn_scores_with_affinities": spec.mask,
        "qkv_bias": spec.query.bias,
        "share_layernorm": spec.sender_norm.is_none(),
    });
    if spec.scale {
        table["scale_attention_by_affinities_after_softmax"] = json!(true);
    }
    if !spec.normalize {
        table["normalize_kernel_along_keys"] = json!(false);
    }
    table
}

fn kernel(config: &KernelConfig) -> Value {
    let mut table = json!({
        "initial_bandwidth": config.bandwidth,
        "learnable_bandwidth": config.learnable_bandwidth,
        "stochastic_kernel": config.stochastic,
        "stochastic_sampling_temperature": config.temperature,
        "truncation": config.truncation,
    });
    if config.evaluation != EvaluationLinks::NoSample {
        table["stochastic_eval_behaviour"] = json!(config.evaluation);
    }
    if config.truncation_implementation != Truncation::Direct {
        table["truncation_implementation"] = json!(config.truncation_implementation);
    }
    if !config.straight_through {
        table["straight_through"] = json!(false);
    }
    if config.eliminate_diagonal {
        table["eliminate_diagonal"] = json!(true);
    }
    table
}

/// `inherited` is the layer scale that the block gives to its feed-forward part.
fn ffn(spec: &ModFfnSpec, inherited: Option<f64>) -> Value {
    let mut table = json!({"use_geglu": spec.activation == Activation::Geglu});
    if spec.residual.layer_scale != inherited {
        table["layer_scale_initial_value"] = json!(spec.residual.layer_scale);
    }
    if !spec.residual.add {
        table["include_residual"] = json!(false);
    }
    table
}

fn latents(spec: &ModuleSetSpec) -> Value {
    let config = &spec.config;
    let mut table = json!({
        "graph_preset": match config.signatures {
            SignatureStart::Normal => Value::Null,
            SignatureStart::Complete => json!("complete"),
        },
        "learnable_codes": config.learnable_codes,
        "learnable_signatures": config.learnable_signatures,
    });
    if config.identical_codes {
        table["init_with_identical_codes"] = json!(true);
    }
    if spec.learned_states.is_some() {
        table["learnable_initial_states"] = json!(true);
    }
    table
}

fn code_noise(share: f64) -> Value {
    if share == 0.0 {
        Value::Null
    } else {
        json!(share)
    }
}

fn class(config: &ModFcConfig) -> Value {
    json!(match config.kind {
        ProjectionKind::ModFc => "ModFC",
        ProjectionKind::Fc => "FC",
        ProjectionKind::WModFc => "WModFC",
    })
}

fn arguments(config: &ModFcConfig) -> Value {
    let mut table = match config.kind {
        ProjectionKind::Fc => return json!({}),
        ProjectionKind::WModFc => json!({}),
        ProjectionKind::ModFc => json!({
            "add_one_to_scale": config.add_one_to_scale,
            "learnable_scale_gain": config.learnable_scale_gain,
            "scale_gain": config.scale_gain,
        }),
    };
    if config.scale_normalization != ScaleNormalization::Ln {
        table["scale_normalization_type"] = json!(config.scale_normalization);
    }
    if config.scale_dropout != 0.0 {
        table["scale_dropout"] = json!(config.scale_dropout);
    }
    if config.weight_init_gain != 1.0 {
        table["weight_init_gain"] = json!(config.weight_init_gain);
    }
    table
}
