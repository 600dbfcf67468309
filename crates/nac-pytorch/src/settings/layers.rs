//! Projections and feed-forward blocks: the reference's `FC`, `ModFC`, `WModFC` and `ModFFN`.

use serde_json::{Value, json};

use super::error::ReferenceError;
use super::reader::Reader;
use nac_core::model::spec::{ModFfnSpec, ProjectionSpec, Surroundings};
use nac_modules::layer::{
    Activation, ModFcConfig, ModFfnConfig, ProjectionKind, ScaleNormalization,
};

type Result<T> = std::result::Result<T, ReferenceError>;

pub(super) fn projection(mut r: Reader<'_>, class: &str) -> Result<ProjectionSpec> {
    let sizes = (r.size("in_features")?, r.size("out_features")?);
    let code_dim = r.size("context_features")?;
    let bias = r.flag("bias", true)?;
    let config = projection_settings(class, r)?;
    let around = Surroundings::new(sizes.0, code_dim, &config);
    Ok(ProjectionSpec::new(&around, "", sizes, bias)?)
}

/// Keyword arguments of a projection class. The reference's defaults differ from the final configuration's.
fn projection_settings(class: &str, mut r: Reader<'_>) -> Result<ModFcConfig> {
    r.without_effect(&["cls", "eps"]);
    r.only(
        "activation",
        &json!("none"),
        "projections have no activation here",
    )?;
    let config = match class {
        "ModFC" => {
            let reason = "only the scale is normalised here, not the scaled input";
            r.only(
                "scale_times_input_normalization_type",
                &json!("none"),
                reason,
            )?;
            let kind = r.raw("scale_normalization_type");
            let scale_normalization = match kind.and_then(Value::as_str) {
                None if kind.is_none() => ScaleNormalization::Ln,
                Some("ln") => ScaleNormalization::Ln,
                Some("l2") => ScaleNormalization::L2,
                Some("none") => ScaleNormalization::None,
                Some("sigmoid") => ScaleNormalization::Sigmoid,
                Some("tanh") => ScaleNormalization::Tanh,
                _ => {
                    let value = kind.unwrap_or(&Value::Null);
                    let reason = "must be ln, l2, none, sigmoid or tanh";
                    return Err(r.unsupported("scale_normalization_type", value, reason));
                }
            };
            ModFcConfig {
                kind: ProjectionKind::ModFc,
                scale_normalization,
                scale_gain: r.number("scale_gain", 1.0)?,
                learnable_scale_gain: r.flag("learnable_scale_gain", false)?,
                add_one_to_scale: r.flag("add_one_to_scale", false)?,
                scale_dropout: r.number("scale_dropout", 0.0)?,
                weight_init_gain: r.number("weight_init_gain", 1.0)?,
            }
        }
        "FC" => ModFcConfig {
            kind: ProjectionKind::Fc,
            ..Default::default()
        },
        "WModFC" => ModFcConfig {
            kind: ProjectionKind::WModFc,
            weight_init_gain: r.number("weight_init_gain", 1.0)?,
            ..Default::default()
        },
        other => {
            return Err(r.unsupported("cls", &json!(other), "must be FC, ModFC or WModFC"));
        }
    };
    r.finish()?;
    Ok(config)
}

/// Projections of a block and of its feed-forward part, as `mod_fc_cls`, `mod_fc_kwargs` and their
/// `ffn_` twins set them; `outer` is what the surrounding circuit sets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Projections {
    pub(super) attention: ModFcConfig,
    pub(super) ffn: ModFcConfig,
}

impl Projections {
    /// Settings of a class without any arguments: `ModFC` with the reference's own defaults.
    pub(super) fn reference_default() -> Self {
        let plain = ModFcConfig {
            scale_gain: 1.0,
            learnable_scale_gain: false,
            add_one_to_scale: false,
            ..Default::default()
        };
        Self {
            attention: plain.clone(),
            ffn: plain,
        }
    }

    pub(super) fn read(r: &mut Reader<'_>, outer: &Self) -> Result<Self> {
        let attention = one(r, "mod_fc_cls", "mod_fc_kwargs")?;
        let ffn = one(r, "ffn_mod_fc_cls", "ffn_mod_fc_kwargs")?;
        Ok(match (attention, ffn) {
            (None, None) => outer.clone(),
            (Some(attention), None) => Self {
                ffn: attention.clone(),
                attention,
            },
            (attention, Some(ffn)) => Self {
                attention: attention.unwrap_or_else(|| outer.attention.clone()),
                ffn,
            },
        })
    }
}

/// A projection class and its arguments; `None` if neither is given.
pub(super) fn one(
    r: &mut Reader<'_>,
    class: &'static str,
    arguments: &'static str,
) -> Result<Option<ModFcConfig>> {
    let name = r.word(class)?;
    let given = name.is_some() || r.raw(arguments).is_some_and(|v| !v.is_null());
    let inner = r.table(arguments)?;
    if !given {
        return Ok(None);
    }
    let name = name.unwrap_or("ModFC");
    if !["FC", "ModFC", "WModFC"].contains(&name) {
        return Err(r.unsupported(class, &json!(name), "must be FC, ModFC or WModFC"));
    }
    projection_settings(name, inner).map(Some)
}

/// What a feed-forward block takes over from the block around it.
#[derive(Debug, Clone)]
pub(super) struct FfnOuter {
    pub(super) capacity_factor: Option<f64>,
    pub(super) use_geglu: bool,
    pub(super) layer_scale: Option<f64>,
    pub(super) drop_path: f64,
    pub(super) mod_fc: ModFcConfig,
}

/// Arguments of `ModFFN`.
pub(super) fn ffn_settings(r: &mut Reader<'_>, outer: &FfnOuter) -> Result<(ModFfnConfig, f64)> {
    let capacity = r.optional_number("capacity_factor")?;
    let geglu = r.flag("use_geglu", outer.use_geglu)?;
    let config = ModFfnConfig {
        capacity_factor: capacity.or(outer.capacity_factor).unwrap_or(1.0),
        activation: if geglu {
            Activation::Geglu
        } else {
            Activation::Gelu
        },
        layer_scale: r.nullable_number("layer_scale_initial_value", outer.layer_scale)?,
        residual: r.flag("include_residual", true)?,
        mod_fc: Some(
            one(r, "mod_fc_cls", "mod_fc_kwargs")?.unwrap_or_else(|| outer.mod_fc.clone()),
        ),
    };
    Ok((config, r.number("path_drop_prob", outer.drop_path)?))
}

pub(super) fn ffn(mut r: Reader<'_>) -> Result<ModFfnSpec> {
    r.without_effect(&["cls"]);
    let (state_dim, code_dim) = (r.size("state_dim")?, r.size("code_dim")?);
    let outer = FfnOuter {
        capacity_factor: None,
        use_geglu: false,
        layer_scale: Some(DEFAULT_LAYER_SCALE),
        drop_path: 0.0,
        mod_fc: Projections::reference_default().ffn,
    };
    let (config, drop_path) = ffn_settings(&mut r, &outer)?;
    r.finish()?;
    let around = Surroundings {
        drop_path,
        ..Surroundings::new(state_dim, code_dim, &outer.mod_fc)
    };
    Ok(config.resolve(&around)?)
}

/// Initial value of a layer scale that a class has when nothing is said.
pub(super) const DEFAULT_LAYER_SCALE: f64 = 0.1;
