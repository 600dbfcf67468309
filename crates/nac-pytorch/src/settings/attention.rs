//! Kernels and attention: the reference's `DotProductKernel`, `KernelModulatedLatentAttention` and
//! `ReadInAttention`.

use serde_json::{Value, json};

use super::error::ReferenceError;
use super::layers::{DEFAULT_LAYER_SCALE, Projections, one};
use super::reader::Reader;
use nac_core::model::spec::{AttentionRole, ReadInAttentionSpec, SkmdpaSpec, Surroundings};
use nac_modules::attention::{
    EvaluationLinks, KernelConfig, ReadInAttentionConfig, SkmdpaConfig, Truncation,
};
use nac_modules::layer::ModFcConfig;

type Result<T> = std::result::Result<T, ReferenceError>;

/// What an attention takes over from the block around it.
#[derive(Debug, Clone)]
pub(super) struct AttentionOuter {
    pub(super) heads: Option<usize>,
    pub(super) head_dim: Option<usize>,
    pub(super) layer_scale: Option<f64>,
    pub(super) qkv_bias: bool,
    pub(super) residual: bool,
    pub(super) drop_path: f64,
    pub(super) mod_fc: ModFcConfig,
}

impl AttentionOuter {
    /// The classes' own defaults.
    pub(super) fn defaults() -> Self {
        Self {
            heads: None,
            head_dim: None,
            layer_scale: Some(DEFAULT_LAYER_SCALE),
            qkv_bias: true,
            residual: true,
            drop_path: 0.0,
            mod_fc: Projections::reference_default().attention,
        }
    }

    /// `num_heads` and `head_dim` of `r`, or of the block around it.
    pub(super) fn heads(&self, r: &mut Reader<'_>) -> Result<(usize, usize)> {
        let heads = r.optional_size("num_heads")?.or(self.heads);
        let head_dim = r.optional_size("head_dim")?.or(self.head_dim);
        Ok((heads.unwrap_or(1), head_dim.unwrap_or(64)))
    }
}

/// Arguments of `DotProductKernel`.
pub(super) fn kernel_settings(r: &mut Reader<'_>) -> Result<KernelConfig> {
    let reason = "Gumbel noise along modules is not supported";
    r.only("use_gumbel_along_functions", &json!(false), reason)?;
    r.without_effect(&["gumbel_temperature", "gumbel_hard"]);
    let evaluation = match r.word("stochastic_eval_behaviour")? {
        None | Some("no_sample") => EvaluationLinks::NoSample,
        Some("sample") => EvaluationLinks::Sample,
        Some("threshold") => EvaluationLinks::Threshold,
        Some(other) => {
            let reason = "must be no_sample, sample or threshold";
            return Err(r.unsupported("stochastic_eval_behaviour", &json!(other), reason));
        }
    };
    let truncation_implementation = match r.word("truncation_implementation")? {
        None | Some("direct") => Truncation::Direct,
        Some("masked") => Truncation::Masked,
        Some(other) => {
            let reason = "must be direct or masked";
            return Err(r.unsupported("truncation_implementation", &json!(other), reason));
        }
    };
    Ok(KernelConfig {
        bandwidth: r.number("initial_bandwidth", 1.0)?,
        learnable_bandwidth: r.flag("learnable_bandwidth", true)?,
        stochastic: r.flag("stochastic_kernel", false)?,
        temperature: r.number("stochastic_sampling_temperature", 1.0)?,
        evaluation,
        truncation: r.nullable_number("truncation", None)?,
        truncation_implementation,
        straight_through: r.flag("straight_through", true)?,
        eliminate_diagonal: r.flag("eliminate_diagonal", false)?,
    })
}

pub(super) fn kernel(mut r: Reader<'_>) -> Result<KernelConfig> {
    // `square` says whether the recorded senders are the receivers.
    r.without_effect(&["cls", "square"]);
    let config = kernel_settings(&mut r)?;
    r.finish()?;
    Ok(config)
}

/// Arguments of `KernelModulatedLatentAttention`, and its drop-path.
pub(super) fn attention_settings(
    r: &mut Reader<'_>,
    outer: &AttentionOuter,
) -> Result<(SkmdpaConfig, f64)> {
    let (heads, head_dim) = outer.heads(r)?;
    match r.word("kernel_type")? {
        None | Some("DotProductKernel") => {}
        Some(other) => {
            let reason = "DotProductKernel is the only kernel";
            return Err(r.unsupported("kernel_type", &json!(other), reason));
        }
    }
    let mut inner = r.table("kernel_kwargs")?;
    let kernel = kernel_settings(&mut inner)?;
    inner.finish()?;
    let config = SkmdpaConfig {
        heads: Some(heads),
        head_dim,
        share_layernorm: Some(r.flag("share_layernorm", false)?),
        residual: Some(r.flag("include_residual", outer.residual)?),
        qkv_bias: r.flag("qkv_bias", outer.qkv_bias)?,
        layer_scale: r.nullable_number("layer_scale_initial_value", outer.layer_scale)?,
        mask_attn_scores_with_affinities: r.flag("mask_attn_scores_with_affinities", true)?,
        scale_attention_by_affinities_after_softmax: r
            .flag("scale_attention_by_affinities_after_softmax", false)?,
        normalize_kernel_along_keys: r.flag("normalize_kernel_along_keys", true)?,
        kernel,
        mod_fc: Some(
            one(r, "mod_fc_cls", "mod_fc_kwargs")?.unwrap_or_else(|| outer.mod_fc.clone()),
        ),
    };
    Ok((config, r.number("path_drop_prob", outer.drop_path)?))
}

pub(super) fn attention(mut r: Reader<'_>) -> Result<SkmdpaSpec> {
    r.without_effect(&["cls"]);
    let (state_dim, code_dim) = (r.size("state_dim")?, r.size("code_dim")?);
    let outer = AttentionOuter::defaults();
    let (config, drop_path) = attention_settings(&mut r, &outer)?;
    r.finish()?;
    let around = Surroundings {
        drop_path,
        ..Surroundings::new(state_dim, code_dim, &outer.mod_fc)
    };
    Ok(config.resolve(&around, AttentionRole::Propagator)?)
}

/// Arguments of `ReadInAttention`, and its drop-path.
pub(super) fn read_in_attention_settings(
    r: &mut Reader<'_>,
    outer: &AttentionOuter,
) -> Result<(ReadInAttentionConfig, f64)> {
    let (heads, head_dim) = outer.heads(r)?;
    let config = ReadInAttentionConfig {
        heads,
        head_dim,
        residual: r.flag("include_residual", outer.residual)?,
        qkv_bias: r.flag("qkv_bias", outer.qkv_bias)?,
        layer_scale: r.nullable_number("layer_scale_initial_value", outer.layer_scale)?,
        share_key_value_projectors: r.flag("share_key_value_projectors", false)?,
        mod_fc: Some(
            one(r, "mod_fc_cls", "mod_fc_kwargs")?.unwrap_or_else(|| outer.mod_fc.clone()),
        ),
    };
    Ok((config, r.number("path_drop_prob", outer.drop_path)?))
}

pub(super) fn read_in_attention(mut r: Reader<'_>) -> Result<ReadInAttentionSpec> {
    r.without_effect(&["cls"]);
    let (state_dim, code_dim) = (r.size("state_dim")?, r.size("code_dim")?);
    let token_dim = r.size("input_dim")?;
    let outer = AttentionOuter::defaults();
    let (config, drop_path) = read_in_attention_settings(&mut r, &outer)?;
    r.finish()?;
    let around = Surroundings {
        drop_path,
        ..Surroundings::new(state_dim, code_dim, &outer.mod_fc)
    };
    Ok(config.resolve(&around, token_dim)?)
}

/// Refuses different drop-paths for attention and feed-forward, which are one setting here.
pub(super) fn same_drop_path(r: &Reader<'_>, attention: f64, ffn: f64) -> Result<f64> {
    if attention == ffn {
        Ok(attention)
    } else {
        let value = Value::from(ffn);
        let reason = "attention and feed-forward of a block have one drop-path probability here";
        Err(r.unsupported("ffn_kwargs.path_drop_prob", &value, reason))
    }
}
