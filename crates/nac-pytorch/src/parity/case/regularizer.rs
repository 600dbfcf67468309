//! Graph-prior regularizers: links of a kernel, matched with a graphon, and their distance from it.

use std::collections::BTreeMap;

use crate::settings::{Imported, import};
use nac_modules::attention::SignatureKernel;
use nac_modules::params::ParamStore;
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::context::Case;
use super::graphon::{graphon, prior};
use super::matching::check_assignment;
use super::settings::Settings;
use super::stop::{Run, Stop};
use nac_train::loss::{PriorDistance, PriorLoss};

pub(super) fn run(case: &mut Case<'_>) -> Run<()> {
    let settings = Settings::new(case.recording().config());
    let propagators = settings.count("num_propagators")?.unwrap_or(1);
    let unique = settings.flag("kernel_is_unique")?.unwrap_or(true);
    let (prior, modules) = prior(&settings)?;
    let distance = PriorDistance {
        loss_type: match settings.word("loss_type")?.unwrap_or("mse") {
            "mse" => PriorLoss::Mse,
            "kl" => PriorLoss::Kl,
            other => return Err(Stop::unsupported("loss_type", format!("{other:?}"))),
        },
        clip: settings.number("clip")?,
    };
    let scale = settings
        .number("multiplicative_matching_noise")?
        .unwrap_or(0.0);
    let kernel = settings.get("kernel");
    let sets = ["input", "mediator", "output"];
    let mut chosen = Vec::new();
    for set in sets {
        if settings
            .flag(&format!("regularize_{set}_latents"))?
            .unwrap_or(true)
        {
            chosen.push(set);
        }
    }
    settings.finish()?;

    let inputs = case.inputs()?;
    let signatures = signatures(&inputs, &chosen)?;
    case.expect_square("out.sampled_graphon", modules)?;
    let found = signatures.size().first().copied();
    if found != i64::try_from(modules).ok() {
        let text = format!("there are {found:?} signatures for {modules} modules");
        return Err(Stop::Broken(text));
    }
    let target = graphon(&prior, modules)?;
    case.check_if_recorded("out.sampled_graphon", &target)?;
    // One kernel for all propagators, or one for each with a bandwidth of its own.
    let bandwidths: Vec<Option<f64>> = match case.recording().tensors.get("in.bandwidths") {
        Some(all) => Vec::<f64>::try_from(all.f_to_kind(Kind::Double)?.f_reshape([-1_i64])?)?
            .into_iter()
            .map(Some)
            .collect(),
        None => vec![None; if unique { 1 } else { propagators }],
    };
    let mut sum: Option<Tensor> = None;
    let mut stores = Vec::new();
    for (place, &bandwidth) in bandwidths.iter().enumerate() {
        let suffix = if unique {
            String::new()
        } else {
            format!(".{place}")
        };
        let (store, links) = links(case, kernel, &signatures, bandwidth)?;
        stores.push(store);
        case.check_if_recorded(&format!("out.link_probability{suffix}"), &links)?;
        let noise = match scale {
            0.0 => None,
            scale => {
                let shape = links.size();
                let drawn = case
                    .pass()
                    .normal("matching", &shape, links.kind(), links.device())?;
                Some(drawn.f_mul_scalar(scale)?)
            }
        };
        let assignment = check_assignment(case, &suffix, &prior, &links, noise.as_ref())?;
        let index = assignment.f_to_device(case.device())?;
        let permuted = links.f_index_select(0, &index)?.f_index_select(1, &index)?;
        case.check_if_recorded(&format!("out.permuted_link_probability{suffix}"), &permuted)?;
        let value = distance.value(&links, &target, &assignment)?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&value)?,
            None => value,
        });
    }
    case.noise_is_used()?;
    let loss = sum.ok_or_else(|| Stop::Broken("there is no kernel".into()))?;
    for name in ["out.loss_value", "out.loss"] {
        case.check_if_recorded(name, &loss)?;
    }
    let Some(recorded) = inputs.get("bandwidths") else {
        return case.check_gradients("grad.", &loss, &inputs, None);
    };
    // Bandwidths are parameters of ours and an input of the recording: hand their gradients on.
    loss.f_backward()?;
    let handed_on = recorded.f_zeros_like()?.f_detach()?;
    for (place, store) in stores.iter().enumerate() {
        if let Some(gradient) = store
            .get("bandwidth")
            .map(Tensor::grad)
            .filter(Tensor::defined)
        {
            handed_on
                .f_view([-1_i64])?
                .f_narrow(0, place as i64, 1)?
                .f_copy_(&gradient.f_reshape([1_i64])?)?;
        }
    }
    let surrogate = recorded.f_mul(&handed_on)?.f_sum(case.kind())?;
    case.check_gradients("grad.", &surrogate, &inputs, None)
}

/// Signatures of the chosen sets one below the other, `[modules, dim]`.
pub(super) fn signatures(inputs: &BTreeMap<String, Tensor>, sets: &[&str]) -> Run<Tensor> {
    let parts = sets
        .iter()
        .map(|set| {
            let name = format!("{set}_signatures");
            let missing = || Stop::Broken(format!("the recording has no `in.{name}`"));
            inputs.get(&name).ok_or_else(missing)
        })
        .collect::<Run<Vec<_>>>()?;
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Link probabilities of a kernel with the recorded settings, and the store that holds its bandwidth.
fn links(
    case: &Case<'_>,
    kernel: Option<&Value>,
    signatures: &Tensor,
    bandwidth: Option<f64>,
) -> Run<(ParamStore, Tensor)> {
    let mut table = match kernel {
        None => Map::new(),
        Some(Value::Object(table)) => table.clone(),
        Some(other) => return Err(Stop::unsupported("kernel", other)),
    };
    table.insert("cls".to_owned(), Value::from("DotProductKernel"));
    let Imported::Kernel(mut config) = import(&Value::Object(table))? else {
        return Err(Stop::Broken(
            "the kernel's configuration is not one of a kernel".into(),
        ));
    };
    config.bandwidth = bandwidth.unwrap_or(config.bandwidth);
    let mut store = ParamStore::new(case.device(), case.kind(), 0);
    let kernel = SignatureKernel::new(store.root(), &config)?;
    let links = kernel.link_probability(signatures, signatures)?;
    Ok((store, links))
}
