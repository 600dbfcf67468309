//! The arguments of the reference's `LatentGraph`, from the settings of a circuit in normal form.
//!
//! Options stand where the reference's own settings files have them: what all blocks share on top, in a block
//! only what differs from that.

use nac_modules::attention::{EvaluationLinks, KernelConfig, SkmdpaConfig, Truncation};
use nac_modules::circuit::{
    CircuitConfig, PropagatorConfig, ReadInConfig, ReadInKind, ReadOutConfig,
};
use nac_modules::generator::{LatentsConfig, SignatureStart, StateMean};
use nac_modules::layer::{
    Activation, ModFcConfig, ModFfnConfig, ProjectionKind, ScaleNormalization,
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
    fn of(block: &PropagatorConfig) -> Self {
        Self {
            heads: block.attention.heads,
            head_dim: block.attention.head_dim,
            capacity_factor: block.ffn.capacity_factor,
            layer_scale: block.attention.layer_scale,
            drop_path: block.drop_path.unwrap_or(0.0),
            code_noise: block.code_noise,
            attention: block.attention.mod_fc.clone().unwrap_or_default(),
            ffn: block.ffn.mod_fc.clone().unwrap_or_default(),
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

/// The arguments of `LatentGraph`.
pub(super) fn circuit(config: &CircuitConfig) -> Value {
    let shared = Shared::of(&config.propagator);
    let (wiring, seeder) = (&config.wiring, &config.seeder);
    let learned = seeder.mean == StateMean::Learned;
    let mut table = shared.over(None);
    let own = json!({
        "code_dim": config.code_dim(),
        "signature_dim": config.signature_dim,
        "num_input_latents": config.read_in_modules.unwrap_or(config.modules),
        "num_mediator_latents": config.modules,
        "num_output_latents": config.read_out_modules,
        "num_iterations": config.propagators,
        "use_input_states_as_mediator_states": wiring.read_in_states_become_processors,
        "disable_input_latents": !wiring.separate_read_in_modules,
        "use_mediator_codes_to_obtain_input_states": !wiring.separate_read_in_modules,
        "disable_input_mediator_communication": !wiring.read_in_sends_to_processors,
        "enable_input_output_communication": wiring.read_in_sends_to_read_out,
        "share_propagator_weights": wiring.share_propagators,
        "share_ffn_between_propagators": wiring.share_propagator_ffn,
        "share_codes_between_iterations": !wiring.codes_per_propagator,
        "use_latent_seeder": !learned,
        "use_code_noise_in_latent_seeder": false,
        "latent_seeder_kwargs": {
            "use_code_as_mean_state": seeder.mean == StateMean::Code,
            "use_state_noise": seeder.state_noise,
            "code_noise_scale": code_noise(seeder.code_noise),
        },
        "input_latent_kwargs": latents(&config.read_in_latents, learned),
        "mediator_latent_kwargs": latents(&config.processor_latents, learned),
        "output_latent_kwargs": latents(&config.read_out_latents, learned),
        "read_in_cls": match config.read_in.kind {
            ReadInKind::Attention => "AttentiveReadIn",
            ReadInKind::Projection => "ProjectionReadIn",
        },
        "read_in_kwargs": read_in(&config.read_in, &shared),
        "propagator_kwargs": propagator(&config.propagator, &shared),
        "read_out_kwargs": read_out(&config.read_out, &shared),
    });
    if let Value::Object(own) = own {
        table.extend(own);
    }
    Value::Object(table)
}

fn read_in(config: &ReadInConfig, outer: &Shared) -> Value {
    let attention = &config.attention;
    let projection = config.kind == ReadInKind::Projection;
    let block = Shared {
        heads: if projection {
            outer.heads
        } else {
            attention.heads
        },
        head_dim: if projection {
            outer.head_dim
        } else {
            attention.head_dim
        },
        capacity_factor: config.ffn.capacity_factor,
        layer_scale: outer.layer_scale,
        drop_path: config.drop_path.unwrap_or(0.0),
        code_noise: config.code_noise,
        attention: attention.mod_fc.clone().unwrap_or_default(),
        ffn: config.ffn.mod_fc.clone().unwrap_or_default(),
    };
    let mut table = block.over(Some(outer));
    table.insert(
        "ffn_kwargs".into(),
        ffn(&config.ffn, config.ffn.layer_scale),
    );
    if config.ffn.layer_scale != outer.layer_scale {
        let key = "ffn_layer_scale_initial_value";
        table.insert(key.into(), json!(config.ffn.layer_scale));
    }
    if !projection {
        let key = "read_in_layer_scale_initial_value";
        table.insert(key.into(), json!(attention.layer_scale));
        let key = "include_residual_in_read_in_attention";
        table.insert(key.into(), json!(attention.residual));
        let mut inner = json!({"qkv_bias": attention.qkv_bias});
        if attention.share_key_value_projectors {
            inner["share_key_value_projectors"] = json!(true);
        }
        table.insert("read_in_attention_kwargs".into(), inner);
    }
    Value::Object(table)
}

fn propagator(config: &PropagatorConfig, outer: &Shared) -> Value {
    let attention = &config.attention;
    let mut table = Shared::of(config).over(Some(outer));
    table.insert(
        "latent_attention_kwargs".into(),
        latent_attention(attention),
    );
    table.insert("ffn_kwargs".into(), ffn(&config.ffn, attention.layer_scale));
    if !attention.residual {
        let key = "include_residual_in_latent_attention";
        table.insert(key.into(), json!(false));
    }
    Value::Object(table)
}

fn read_out(config: &ReadOutConfig, outer: &Shared) -> Value {
    let block = PropagatorConfig {
        attention: SkmdpaConfig {
            heads: config.heads,
            head_dim: config.head_dim,
            share_layernorm: config.share_layernorm,
            residual: true,
            qkv_bias: config.qkv_bias,
            layer_scale: config.layer_scale,
            mask_attn_scores_with_affinities: config.mask_attn_scores_with_affinities,
            scale_attention_by_affinities_after_softmax: config
                .scale_attention_by_affinities_after_softmax,
            normalize_kernel_along_keys: config.normalize_kernel_along_keys,
            kernel: config.kernel.clone(),
            mod_fc: config.mod_fc.clone(),
        },
        ffn: config.ffn.clone(),
        drop_path: config.drop_path,
        code_noise: config.code_noise,
    };
    let mut table = propagator(&block, outer);
    table["include_residual_in_latent_attention"] = json!(config.residual);
    table["use_head"] = json!(config.use_head);
    table["pre_output_layernorm"] = json!(config.pre_output_layernorm);
    table
}

fn latent_attention(config: &SkmdpaConfig) -> Value {
    let mut table = json!({
        "kernel_type": "DotProductKernel",
        "kernel_kwargs": kernel(&config.kernel),
        "mask_attn_scores_with_affinities": config.mask_attn_scores_with_affinities,
        "qkv_bias": config.qkv_bias,
        "share_layernorm": config.share_layernorm,
    });
    if config.scale_attention_by_affinities_after_softmax {
        table["scale_attention_by_affinities_after_softmax"] = json!(true);
    }
    if !config.normalize_kernel_along_keys {
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
fn ffn(config: &ModFfnConfig, inherited: Option<f64>) -> Value {
    let mut table = json!({"use_geglu": config.activation == Activation::Geglu});
    if config.layer_scale != inherited {
        table["layer_scale_initial_value"] = json!(config.layer_scale);
    }
    if !config.residual {
        table["include_residual"] = json!(false);
    }
    table
}

fn latents(config: &LatentsConfig, learned_states: bool) -> Value {
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
    if learned_states {
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
