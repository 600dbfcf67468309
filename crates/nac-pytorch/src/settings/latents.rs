//! Sets of modules and their initial states: the reference's `Latents` and `LatentSeeder`.

use serde_json::{Value, json};

use super::error::ReferenceError;
use super::reader::Reader;
use nac_modules::generator::{LatentSizes, LatentsConfig, SeederConfig, SignatureStart, StateMean};

type Result<T> = std::result::Result<T, ReferenceError>;

/// A graph that initial signatures are to be fitted to. It only matters for a model trained from scratch:
/// this crate's layers start from unstructured signatures, and weights that are loaded replace them.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialGraph {
    /// Prefix of the set of modules, such as `mediator_latents`.
    pub latents: String,
    /// `graph_preset`, such as `barabasi-albert`.
    pub preset: String,
    /// `graph_generator_kwargs`.
    pub arguments: Value,
}

/// A `Latents` of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedLatents {
    /// Sizes.
    pub sizes: LatentSizes,
    /// The other settings.
    pub config: LatentsConfig,
    /// The graph its signatures are to be fitted to, if any.
    pub initial_graph: Option<InitialGraph>,
}

/// A `Latents` with prefix `latents` and a `LatentSeeder` with prefix `seeder`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedSeededLatents {
    /// The set of modules.
    pub latents: ImportedLatents,
    /// `state_dim`.
    pub state_dim: usize,
    /// The seeder.
    pub seeder: SeederConfig,
    /// `batch_size` of the recording.
    pub batch_size: usize,
}

/// Arguments of `Latents` besides sizes.
pub(super) fn latents_settings(
    r: &mut Reader<'_>,
    name: &str,
) -> Result<(LatentsConfig, Option<InitialGraph>)> {
    let arguments = r.raw("graph_generator_kwargs").unwrap_or(&Value::Null);
    let (signatures, initial_graph) = match r.word("graph_preset")? {
        None => (SignatureStart::Normal, None),
        Some("complete") => (SignatureStart::Complete, None),
        Some(preset) => {
            let graph = InitialGraph {
                latents: name.to_owned(),
                preset: preset.to_owned(),
                arguments: arguments.clone(),
            };
            (SignatureStart::Normal, Some(graph))
        }
    };
    let config = LatentsConfig {
        learnable_codes: r.flag("learnable_codes", true)?,
        learnable_signatures: r.flag("learnable_signatures", true)?,
        identical_codes: r.flag("init_with_identical_codes", false)?,
        signatures,
    };
    Ok((config, initial_graph))
}

fn latents_table(mut r: Reader<'_>, name: &str) -> Result<ImportedLatents> {
    r.without_effect(&["cls"]);
    let state_dim = r.optional_size("state_dim")?;
    let learned = r.flag("learnable_initial_states", false)?;
    if learned && state_dim.is_none() {
        return Err(ReferenceError::Missing {
            path: r.path("state_dim"),
        });
    }
    let sizes = LatentSizes {
        modules: r.size("num_latents")?,
        signature_dim: r.size("signature_dim")?,
        code_dim: r.size("code_dim")?,
        code_layers: r.optional_size("num_layers")?,
        state_dim: state_dim.filter(|_| learned),
    };
    let (config, initial_graph) = latents_settings(&mut r, name)?;
    r.finish()?;
    Ok(ImportedLatents {
        sizes,
        config,
        initial_graph,
    })
}

pub(super) fn latents(r: Reader<'_>) -> Result<ImportedLatents> {
    latents_table(r, "")
}

/// Arguments of `LatentSeeder`. The reference draws state noise in evaluation too, so the import asks for it.
pub(super) fn seeder_settings(r: &mut Reader<'_>, code_noise: f64) -> Result<SeederConfig> {
    let code_as_mean = r.flag("use_code_as_mean_state", false)?;
    let noise = r.flag("use_state_noise", true)?;
    if code_as_mean && noise {
        let reason = "with use_code_as_mean_state, states have no noise here";
        return Err(r.unsupported("use_state_noise", &json!(true), reason));
    }
    Ok(SeederConfig {
        mean: if code_as_mean {
            StateMean::Code
        } else {
            StateMean::Projection
        },
        state_noise: noise,
        noise_in_evaluation: noise,
        code_noise: r
            .nullable_number("code_noise_scale", Some(code_noise))?
            .unwrap_or(0.0),
    })
}

pub(super) fn seeded_latents(mut r: Reader<'_>) -> Result<ImportedSeededLatents> {
    r.without_effect(&["cls"]);
    let latents = latents_table(r.table("latents")?, "latents")?;
    let mut inner = r.table("seeder")?;
    let (state_dim, code_dim) = (inner.size("state_dim")?, inner.size("code_dim")?);
    if code_dim != latents.sizes.code_dim {
        let reason = "must equal latents.code_dim";
        return Err(inner.unsupported("code_dim", &json!(code_dim), reason));
    }
    let seeder = seeder_settings(&mut inner, 0.0)?;
    inner.finish()?;
    let batch_size = r.size("batch_size")?;
    r.finish()?;
    Ok(ImportedSeededLatents {
        latents,
        state_dim,
        seeder,
        batch_size,
    })
}
