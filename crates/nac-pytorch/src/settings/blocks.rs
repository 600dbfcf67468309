//! Read-ins, propagators and read-outs: the reference's `AttentiveReadIn`, `ProjectionReadIn`, `Propagator`
//! and `ReadOut`.

use serde_json::json;

use super::attention::{
    AttentionOuter, attention_settings, read_in_attention_settings, same_drop_path,
};
use super::error::ReferenceError;
use super::layers::{DEFAULT_LAYER_SCALE, FfnOuter, Projections, ffn_settings};
use super::reader::Reader;
use nac_core::model::spec::{PropagatorSpec, ReadInSpec, ReadOutSpec, Surroundings};
use nac_modules::attention::ReadInAttentionConfig;
use nac_modules::circuit::{PropagatorConfig, ReadInConfig, ReadInKind, ReadOutConfig};

type Result<T> = std::result::Result<T, ReferenceError>;

/// What a block takes over from the circuit around it.
#[derive(Debug, Clone)]
pub(super) struct BlockOuter {
    pub(super) heads: Option<usize>,
    pub(super) head_dim: Option<usize>,
    pub(super) capacity_factor: Option<f64>,
    pub(super) layer_scale: Option<f64>,
    pub(super) use_geglu: bool,
    pub(super) qkv_bias: bool,
    pub(super) drop_path: f64,
    pub(super) code_noise: f64,
    pub(super) projections: Projections,
}

impl BlockOuter {
    /// The classes' own defaults.
    pub(super) fn defaults() -> Self {
        Self {
            heads: None,
            head_dim: None,
            capacity_factor: None,
            layer_scale: Some(DEFAULT_LAYER_SCALE),
            use_geglu: false,
            qkv_bias: true,
            drop_path: 0.0,
            code_noise: 0.0,
            projections: Projections::reference_default(),
        }
    }

    /// What `r` says about all parts of a block, over what the circuit says.
    pub(super) fn read(&self, r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            heads: r.optional_size("num_heads")?.or(self.heads),
            head_dim: r.optional_size("head_dim")?.or(self.head_dim),
            capacity_factor: r
                .optional_number("ffn_capacity_factor")?
                .or(self.capacity_factor),
            layer_scale: r.nullable_number("layer_scale_initial_value", self.layer_scale)?,
            use_geglu: r.flag("use_geglu", self.use_geglu)?,
            qkv_bias: r.flag("qkv_bias_in_attention", self.qkv_bias)?,
            drop_path: r.number("path_drop_prob", self.drop_path)?,
            code_noise: r
                .nullable_number("code_noise_scale", Some(self.code_noise))?
                .unwrap_or(0.0),
            projections: Projections::read(r, &self.projections)?,
        })
    }

    fn attention(&self, layer_scale: Option<f64>, residual: bool) -> AttentionOuter {
        AttentionOuter {
            heads: self.heads,
            head_dim: self.head_dim,
            layer_scale,
            qkv_bias: self.qkv_bias,
            residual,
            drop_path: self.drop_path,
            mod_fc: self.projections.attention.clone(),
        }
    }

    fn ffn(&self, layer_scale: Option<f64>) -> FfnOuter {
        FfnOuter {
            capacity_factor: self.capacity_factor,
            use_geglu: self.use_geglu,
            layer_scale,
            drop_path: self.drop_path,
            mod_fc: self.projections.ffn.clone(),
        }
    }
}

/// Arguments of a read-in class.
pub(super) fn read_in_settings(
    r: &mut Reader<'_>,
    class: &str,
    outer: &BlockOuter,
) -> Result<ReadInConfig> {
    let block = outer.read(r)?;
    let ffn_scale = r.nullable_number("ffn_layer_scale_initial_value", block.layer_scale)?;
    let mut inner = r.table("ffn_kwargs")?;
    let (ffn, ffn_drop) = ffn_settings(&mut inner, &block.ffn(ffn_scale))?;
    inner.finish()?;
    let (kind, attention, drop) = match class {
        "AttentiveReadIn" => {
            let default = Some(DEFAULT_LAYER_SCALE);
            let scale = r.nullable_number("read_in_layer_scale_initial_value", default)?;
            let residual = r.flag("include_residual_in_read_in_attention", false)?;
            let mut inner = r.table("read_in_attention_kwargs")?;
            let outer = block.attention(scale, residual);
            let (attention, drop) = read_in_attention_settings(&mut inner, &outer)?;
            inner.finish()?;
            (ReadInKind::Attention, attention, drop)
        }
        "ProjectionReadIn" => {
            let attention = ReadInAttentionConfig {
                mod_fc: Some(block.projections.attention.clone()),
                ..Default::default()
            };
            (ReadInKind::Projection, attention, ffn_drop)
        }
        other => {
            return Err(ReferenceError::Unsupported {
                path: r.sibling("read_in_cls"),
                value: json!(other).to_string(),
                reason: "must be AttentiveReadIn or ProjectionReadIn".into(),
            });
        }
    };
    Ok(ReadInConfig {
        kind,
        attention,
        ffn,
        drop_path: Some(same_drop_path(r, drop, ffn_drop)?),
        code_noise: block.code_noise,
    })
}

/// Arguments of `Propagator`.
pub(super) fn propagator_settings(
    r: &mut Reader<'_>,
    outer: &BlockOuter,
) -> Result<PropagatorConfig> {
    let block = outer.read(r)?;
    let residual = r.flag("include_residual_in_latent_attention", true)?;
    let mut inner = r.table("latent_attention_kwargs")?;
    let attention_outer = block.attention(block.layer_scale, residual);
    let (attention, drop) = attention_settings(&mut inner, &attention_outer)?;
    inner.finish()?;
    let mut inner = r.table("ffn_kwargs")?;
    let (ffn, ffn_drop) = ffn_settings(&mut inner, &block.ffn(block.layer_scale))?;
    inner.finish()?;
    Ok(PropagatorConfig {
        attention,
        ffn,
        drop_path: Some(same_drop_path(r, drop, ffn_drop)?),
        code_noise: block.code_noise,
    })
}

/// Arguments of `ReadOut`.
pub(super) fn read_out_settings(r: &mut Reader<'_>, outer: &BlockOuter) -> Result<ReadOutConfig> {
    let use_head = r.flag("use_head", true)?;
    let pre_output_layernorm = r.flag("pre_output_layernorm", true)?;
    let propagator = propagator_settings(r, outer)?;
    Ok(ReadOutConfig {
        attention: propagator.attention,
        ffn: propagator.ffn,
        drop_path: propagator.drop_path,
        code_noise: propagator.code_noise,
        use_head,
        pre_output_layernorm,
    })
}

/// `state_dim` and `code_dim` of a block of its own.
fn sizes(r: &mut Reader<'_>) -> Result<(usize, usize)> {
    r.without_effect(&["cls"]);
    Ok((r.size("state_dim")?, r.size("code_dim")?))
}

pub(super) fn read_in(mut r: Reader<'_>, class: &str) -> Result<ReadInSpec> {
    let ((state_dim, code_dim), outer) = (sizes(&mut r)?, BlockOuter::defaults());
    let input_dim = r.size("input_dim")?;
    let config = read_in_settings(&mut r, class, &outer)?;
    r.finish()?;
    let around = Surroundings::new(state_dim, code_dim, &outer.projections.attention);
    Ok(config.resolve(&around, input_dim)?)
}

pub(super) fn propagator(mut r: Reader<'_>) -> Result<PropagatorSpec> {
    let ((state_dim, code_dim), outer) = (sizes(&mut r)?, BlockOuter::defaults());
    let config = propagator_settings(&mut r, &outer)?;
    r.finish()?;
    let around = Surroundings::new(state_dim, code_dim, &outer.projections.attention);
    Ok(config.resolve(&around)?)
}

pub(super) fn read_out(mut r: Reader<'_>) -> Result<ReadOutSpec> {
    let ((state_dim, code_dim), outer) = (sizes(&mut r)?, BlockOuter::defaults());
    let output_dim = r.optional_size("output_dim")?.unwrap_or(state_dim);
    let config = read_out_settings(&mut r, &outer)?;
    r.finish()?;
    let around = Surroundings::new(state_dim, code_dim, &outer.projections.attention);
    Ok(config.resolve(&around, output_dim)?)
}
