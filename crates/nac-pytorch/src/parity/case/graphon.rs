//! Graphons, the link probabilities of graph priors: `kind`, the number of modules `N`, and arguments.

use nac_core::PriorConfig;
use nac_core::prior::{ErdosRenyi, PlantedPartition, RingOfCliques, ScaleFree, WattsStrogatz};
use tch::{Kind, Tensor};

use super::context::Case;
use super::error::{CaseError, CaseResult};
use super::settings::Settings;

pub(super) fn run(case: &mut Case<'_>) -> CaseResult<()> {
    let settings = Settings::new(case.golden().config());
    let (prior, modules) = prior(&settings)?;
    settings.finish()?;
    case.expect_square("out.sampled_graphon", modules)?;
    case.check("out.sampled_graphon", &graphon(&prior, modules)?)
}

/// The prior's link probabilities, `[modules, modules]`, rounded to `float32` as the reference keeps them whatever
/// the numbers it computes with.
pub(super) fn graphon(prior: &PriorConfig, modules: usize) -> CaseResult<Tensor> {
    let values = prior.link_probabilities(modules)?;
    let shape = [values.nrows() as i64, values.ncols() as i64];
    let values: Vec<f64> = values.iter().copied().collect();
    Ok(Tensor::f_from_slice(&values)?
        .f_view(shape)?
        .f_to_kind(Kind::Float)?)
}

/// The prior that a configuration of the reference asks for, and its number of modules.
pub(super) fn prior(settings: &Settings<'_>) -> CaseResult<(PriorConfig, usize)> {
    let modules = settings.count("N")?.ok_or_else(|| settings.missing("N"))?;
    let kind = settings
        .word("kind")?
        .ok_or_else(|| settings.missing("kind"))?;
    let (count, number) = (|key| settings.count(key), |key| settings.number(key));
    let symmetric = settings.flag("symmetric")?;
    let prior = match kind {
        "sbm" => {
            let plain = PlantedPartition::default();
            PriorConfig::PlantedPartition(PlantedPartition {
                clusters: count("num_clusters")?.unwrap_or(plain.clusters),
                p_in: number("p_in")?.unwrap_or(plain.p_in),
                p_out: number("p_out")?.unwrap_or(plain.p_out),
            })
        }
        "ba" => {
            // The reference's own note: it cancels out of the graphon.
            settings.ignore(&["new_edges_per_node"]);
            PriorConfig::ScaleFree(ScaleFree::default())
        }
        "roc" => PriorConfig::RingOfCliques(RingOfCliques {
            cliques: count("num_clusters")?.unwrap_or(RingOfCliques::default().cliques),
            p_in: number("p_in")?.unwrap_or(RingOfCliques::default().p_in),
            p_out: number("p_out")?.unwrap_or(RingOfCliques::default().p_out),
            closed: false,
        }),
        "ws" => {
            let plain = WattsStrogatz::default();
            PriorConfig::WattsStrogatz(WattsStrogatz {
                k: count("k")?.unwrap_or(plain.k),
                p: number("p")?.unwrap_or(plain.p),
                // The reference's class does not symmetrise unless told to.
                symmetric: symmetric.unwrap_or(false),
            })
        }
        "er" => PriorConfig::ErdosRenyi(ErdosRenyi {
            p: number("p")?.unwrap_or(ErdosRenyi::default().p),
        }),
        other => return Err(CaseError::unsupported("kind", format!("{other:?}"))),
    };
    match (&prior, symmetric) {
        (PriorConfig::WattsStrogatz(_), _) | (_, None | Some(true)) => Ok((prior, modules)),
        (_, Some(false)) => Err(CaseError::unsupported("symmetric", false)),
    }
}
