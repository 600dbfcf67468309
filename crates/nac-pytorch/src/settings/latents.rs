//! Sets of modules and their initial states: the reference's `Latents` and `LatentSeeder`.

use nac_core::graph::GraphGenerator;
use nac_core::graph::signature_fit::{FitObjective, SignatureFitConfig};
use serde_json::json;

use super::error::ReferenceError;
use super::reader::Reader;
use nac_core::model::spec::{ModuleSetSpec, SeederSpec};
use nac_modules::generator::{LatentsConfig, SeederConfig, SignatureStart, StateMean};

type Result<T> = std::result::Result<T, ReferenceError>;

/// A graph that initial signatures are fitted to, for a model trained from scratch: `graph_preset` and
/// `graph_generator_kwargs`.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialGraph {
    /// Prefix of the set of modules, such as `mediator_latents`.
    pub latents: String,
    /// The graph and its fit.
    pub fit: SignatureFitConfig,
}

/// A `Latents` of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedLatents {
    /// The set.
    pub spec: ModuleSetSpec,
    /// The graph its signatures are to be fitted to, if any.
    pub initial_graph: Option<InitialGraph>,
}

/// A `Latents` with prefix `latents` and a `LatentSeeder` with prefix `seeder`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedSeededLatents {
    /// The set of modules.
    pub latents: ModuleSetSpec,
    /// The seeder.
    pub seeder: SeederSpec,
    /// `batch_size` of the golden.
    pub batch_size: usize,
}

/// What of a set of modules is trained unless it says otherwise itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learnable {
    pub(super) codes: bool,
    pub(super) signatures: bool,
}

impl Default for Learnable {
    fn default() -> Self {
        Self {
            codes: true,
            signatures: true,
        }
    }
}

/// Arguments of `Latents` besides sizes.
pub(super) fn latents_settings(
    r: &mut Reader<'_>,
    name: &str,
    learnable: Learnable,
) -> Result<(LatentsConfig, Option<InitialGraph>)> {
    let (signatures, initial_graph) = match r.word("graph_preset")? {
        None => (SignatureStart::Normal, None),
        Some("complete") => (SignatureStart::Complete, None),
        Some(preset) => {
            let Ok(graph) = GraphGenerator::from_name(preset) else {
                let reason = format!("must be one of {}", GraphGenerator::NAMES.join(", "));
                return Err(r.unsupported("graph_preset", &json!(preset), &reason));
            };
            let mut inner = r.table("graph_generator_kwargs")?;
            let graph = InitialGraph {
                latents: name.to_owned(),
                fit: signature_fit(&mut inner, graph)?,
            };
            inner.finish()?;
            (SignatureStart::Normal, Some(graph))
        }
    };
    // Without a preset that needs them they have no effect.
    r.without_effect(&["graph_generator_kwargs"]);
    let config = LatentsConfig {
        learnable_codes: r.flag("learnable_codes", learnable.codes)?,
        learnable_signatures: r.flag("learnable_signatures", learnable.signatures)?,
        identical_codes: r.flag("init_with_identical_codes", false)?,
        signatures,
    };
    Ok((config, initial_graph))
}

/// Arguments of the fit, and of the graph among them or in a table of their own.
fn signature_fit(r: &mut Reader<'_>, graph: GraphGenerator) -> Result<SignatureFitConfig> {
    let mut fit = SignatureFitConfig::new(graph);
    fit.truncation = r.number("truncation", fit.truncation)?;
    fit.iterations = r.optional_size("num_iters")?.unwrap_or(fit.iterations);
    fit.learning_rate = r.number("learning_rate", fit.learning_rate)?;
    if !r.flag("use_hinge_loss", true)? {
        fit.objective = FitObjective::Mse;
    }
    fit.graph = graph_arguments(r, graph)?;
    let mut inner = r.table("graph_generator_kwargs")?;
    fit.graph = graph_arguments(&mut inner, fit.graph)?;
    inner.finish()?;
    Ok(fit)
}

/// Arguments of a graph as networkx names them. Sizes that follow from the number of modules are not looked at.
fn graph_arguments(r: &mut Reader<'_>, mut graph: GraphGenerator) -> Result<GraphGenerator> {
    r.without_effect(&["seed"]);
    match &mut graph {
        GraphGenerator::ErdosRenyi { p } => {
            r.without_effect(&["n"]);
            *p = r.number("p", *p)?;
        }
        GraphGenerator::WattsStrogatz { k, p } => {
            *k = r.optional_size("k")?.or(*k);
            *p = r.number("p", *p)?;
        }
        GraphGenerator::PlantedPartition {
            clusters,
            p_in,
            p_out,
        } => {
            r.without_effect(&["k"]);
            *clusters = r.optional_size("l")?.unwrap_or(*clusters);
            (*p_in, *p_out) = (r.number("p_in", *p_in)?, r.number("p_out", *p_out)?);
        }
        GraphGenerator::BarabasiAlbert { m } => {
            r.without_effect(&["n"]);
            *m = r.optional_size("m")?.unwrap_or(*m);
        }
        GraphGenerator::RingOfCliques { cliques } => {
            r.without_effect(&["clique_size"]);
            *cliques = r.optional_size("num_cliques")?.unwrap_or(*cliques);
        }
        GraphGenerator::GridGraph { width, periodic } => {
            *periodic = r.flag("periodic", *periodic)?;
            if let Some(sides) = r.raw("dim") {
                *width = match sides.as_array().map(Vec::as_slice) {
                    Some([width, _]) => width.as_u64().and_then(|n| usize::try_from(n).ok()),
                    _ => return Err(r.unsupported("dim", sides, "must be two sides")),
                };
            }
        }
        // The sizes of these follow from the number of modules.
        _ => r.without_effect(&["m1", "m2"]),
    }
    Ok(graph)
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
    let (config, initial_graph) = latents_settings(&mut r, name, Learnable::default())?;
    let spec = ModuleSetSpec {
        path: name.to_owned(),
        modules: r.size("num_latents")?,
        signature_dim: r.size("signature_dim")?,
        code_dim: r.size("code_dim")?,
        code_layers: r.optional_size("num_layers")?,
        learned_states: state_dim.filter(|_| learned),
        config,
    };
    r.finish()?;
    Ok(ImportedLatents {
        spec,
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
    let latents = latents_table(r.table("latents")?, "latents")?.spec;
    let mut inner = r.table("seeder")?;
    let (state_dim, code_dim) = (inner.size("state_dim")?, inner.size("code_dim")?);
    if code_dim != latents.code_dim {
        let reason = "must equal latents.code_dim";
        return Err(inner.unsupported("code_dim", &json!(code_dim), reason));
    }
    let seeder = seeder_settings(&mut inner, 0.0)?;
    let seeder = seeder.resolve("seeder", state_dim, code_dim)?;
    inner.finish()?;
    let batch_size = r.size("batch_size")?;
    r.finish()?;
    Ok(ImportedSeededLatents {
        latents,
        seeder,
        batch_size,
    })
}
