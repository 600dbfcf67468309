//! Graph-prior regularizers: links of a kernel, matched with a graphon, and their distance from it.

use std::collections::BTreeMap;

use crate::settings::{Imported, import};
use nac_core::PriorConfig;
use nac_modules::attention::SignatureKernel;
use nac_modules::params::ParamStore;
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::context::Case;
use super::error::{CaseError, CaseResult};
use super::graphon::{graphon, prior};
use super::matching::check_assignment;
use super::settings::Settings;
use nac_train::loss::{PriorDistance, PriorLoss};

/// What a configuration says.
struct Regularizer<'a> {
    prior: PriorConfig,
    modules: usize,
    distance: PriorDistance,
    /// Whether all propagators have one kernel.
    unique: bool,
    propagators: usize,
    /// Scale of the noise on the costs of the matching.
    matching_noise: f64,
    kernel: Option<&'a Value>,
    /// Sets of modules whose signatures count.
    sets: Vec<&'static str>,
}

impl<'a> Regularizer<'a> {
    fn read(settings: &Settings<'a>) -> CaseResult<Self> {
        let (prior, modules) = prior(settings)?;
        let loss_type = match settings.word("loss_type")?.unwrap_or("mse") {
            "mse" => PriorLoss::Mse,
            "kl" => PriorLoss::Kl,
            other => return Err(CaseError::unsupported("loss_type", format!("{other:?}"))),
        };
        let mut sets = Vec::new();
        for set in ["input", "mediator", "output"] {
            let key = format!("regularize_{set}_latents");
            if settings.flag(&key)?.unwrap_or(true) {
                sets.push(set);
            }
        }
        let found = Self {
            prior,
            modules,
            distance: PriorDistance {
                loss_type,
                clip: settings.number("clip")?,
            },
            unique: settings.flag("kernel_is_unique")?.unwrap_or(true),
            propagators: settings.count("num_propagators")?.unwrap_or(1),
            matching_noise: settings
                .number("multiplicative_matching_noise")?
                .unwrap_or(0.0),
            kernel: settings.get("kernel"),
            sets,
        };
        settings.finish()?;
        Ok(found)
    }

    /// One kernel for all propagators, or one for each with its own bandwidth.
    fn bandwidths(&self, case: &Case<'_>) -> CaseResult<Vec<Option<f64>>> {
        let Some(all) = case.golden().tensors.get("in.bandwidths") else {
            let kernels = if self.unique { 1 } else { self.propagators };
            return Ok(vec![None; kernels]);
        };
        let all = all.f_to_kind(Kind::Double)?.f_reshape([-1_i64])?;
        Ok(Vec::<f64>::try_from(all)?.into_iter().map(Some).collect())
    }

    /// The distance of one kernel's links from the graphon, at the recorded matching; compares what is recorded on
    /// the way.
    fn term(&self, case: &mut Case<'_>, suffix: &str, links: &Tensor) -> CaseResult<Tensor> {
        case.check_if_recorded(&format!("out.link_probability{suffix}"), links)?;
        let noise = match self.matching_noise {
            0.0 => None,
            scale => {
                let (shape, kind) = (links.size(), links.kind());
                let drawn = case
                    .pass()
                    .normal("matching", &shape, kind, links.device())?;
                Some(drawn.f_mul_scalar(scale)?)
            }
        };
        let assignment = check_assignment(case, suffix, &self.prior, links, noise.as_ref())?;
        let index = assignment.f_to_device(case.device())?;
        let permuted = links.f_index_select(0, &index)?.f_index_select(1, &index)?;
        case.check_if_recorded(&format!("out.permuted_link_probability{suffix}"), &permuted)?;
        let target = graphon(&self.prior, self.modules)?;
        Ok(self.distance.value(links, &target, &assignment)?)
    }
}

pub(super) fn run(case: &mut Case<'_>) -> CaseResult<()> {
    let regularizer = Regularizer::read(&Settings::new(case.golden().config()))?;
    let modules = regularizer.modules;
    let inputs = case.inputs()?;
    let signatures = signatures(&inputs, &regularizer.sets)?;
    case.expect_square("out.sampled_graphon", modules)?;
    let found = signatures.size().first().copied();
    if found != i64::try_from(modules).ok() {
        let text = format!("there are {found:?} signatures for {modules} modules");
        return Err(CaseError::Broken(text));
    }
    case.check_if_recorded(
        "out.sampled_graphon",
        &graphon(&regularizer.prior, modules)?,
    )?;
    let mut sum: Option<Tensor> = None;
    let mut stores = Vec::new();
    for (index, bandwidth) in regularizer.bandwidths(case)?.into_iter().enumerate() {
        let suffix = if regularizer.unique {
            String::new()
        } else {
            format!(".{index}")
        };
        let (store, links) = links(case, regularizer.kernel, &signatures, bandwidth)?;
        stores.push(store);
        let value = regularizer.term(case, &suffix, &links)?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&value)?,
            None => value,
        });
    }
    case.noise_is_used()?;
    let loss = sum.ok_or_else(|| CaseError::Broken("there is no kernel".into()))?;
    for name in ["out.loss_value", "out.loss"] {
        case.check_if_recorded(name, &loss)?;
    }
    let Some(bandwidths) = inputs.get("bandwidths") else {
        return case.check_gradients("grad.", &loss, &inputs, None);
    };
    loss.f_backward()?;
    let surrogate = hand_on(bandwidths, &stores)?.f_sum(case.kind())?;
    case.check_gradients("grad.", &surrogate, &inputs, None)
}

/// A product with `bandwidths` whose gradient is that of the kernels' bandwidths, which are parameters of ours and an
/// input of the golden.
fn hand_on(bandwidths: &Tensor, stores: &[ParamStore]) -> CaseResult<Tensor> {
    let gradients = bandwidths.f_zeros_like()?.f_detach()?;
    for (index, store) in stores.iter().enumerate() {
        let gradient = store.get("bandwidth").map(Tensor::grad);
        if let Some(gradient) = gradient.filter(Tensor::defined) {
            gradients
                .f_view([-1_i64])?
                .f_narrow(0, index as i64, 1)?
                .f_copy_(&gradient.f_reshape([1_i64])?)?;
        }
    }
    Ok(bandwidths.f_mul(&gradients)?)
}

/// Signatures of the chosen sets one below the other, `[modules, dim]`.
pub(super) fn signatures(inputs: &BTreeMap<String, Tensor>, sets: &[&str]) -> CaseResult<Tensor> {
    let parts = sets
        .iter()
        .map(|set| {
            let name = format!("{set}_signatures");
            let missing = || CaseError::Broken(format!("the golden has no `in.{name}`"));
            inputs.get(&name).ok_or_else(missing)
        })
        .collect::<CaseResult<Vec<_>>>()?;
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Link probabilities of a kernel with the recorded settings, and the store that holds its bandwidth.
fn links(
    case: &Case<'_>,
    kernel: Option<&Value>,
    signatures: &Tensor,
    bandwidth: Option<f64>,
) -> CaseResult<(ParamStore, Tensor)> {
    let mut table = match kernel {
        None => Map::new(),
        Some(Value::Object(table)) => table.clone(),
        Some(other) => return Err(CaseError::unsupported("kernel", other)),
    };
    table.insert("cls".to_owned(), Value::from("DotProductKernel"));
    let Imported::Kernel(mut config) = import(&Value::Object(table))? else {
        return Err(CaseError::Broken(
            "the kernel's configuration is not one of a kernel".into(),
        ));
    };
    config.bandwidth = bandwidth.unwrap_or(config.bandwidth);
    let mut store = ParamStore::new(case.device(), case.kind(), 0);
    let kernel = SignatureKernel::new(&mut store.root(), &config.resolve("")?)?;
    let links = kernel.link_probability(signatures, signatures)?;
    Ok((store, links))
}
