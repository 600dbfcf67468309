//! A Perceiver IO whose queries, mask or outputs are not those of a classifier of images.

use std::collections::BTreeMap;

use crate::settings::{ImportedPerceiverIo, PerceiverTokens};
use nac_modules::Tokens;
use nac_modules::baseline::PerceiverCore;
use nac_modules::tokenizer::{ConvNextTokenizer, Tokenizer};
use tch::{Kind, Tensor};

use super::context::{Case, model_inputs};
use super::error::{CaseError, CaseResult};
use super::model::check_cross_entropy;

/// Names that the data may have.
const DATA: [&str; 5] = ["image", "data", "inputs", "tokens", "x"];

pub(super) fn run(case: &mut Case<'_>, imported: &ImportedPerceiverIo) -> CaseResult<()> {
    let inputs = case.inputs()?;
    let (name, data) = DATA
        .iter()
        .find_map(|name| Some((*name, inputs.get(*name)?)))
        .ok_or_else(|| CaseError::Broken(format!("the golden has none of the inputs {DATA:?}")))?;
    let mut store = case.store();
    let tokenizer = match &imported.source {
        PerceiverTokens::ConvNext(config) => {
            let (height, width) = (case.input_size(name, 2)?, case.input_size(name, 3)?);
            let spec = config.resolve("tokenizer", [imported.dim, height, width])?;
            Some(ConvNextTokenizer::new(&mut store.root(), &spec)?)
        }
        PerceiverTokens::Given | PerceiverTokens::Pixels => None,
    };
    let token_dim = tokenizer
        .as_ref()
        .map_or(imported.dim, Tokenizer::token_dim);
    let (outputs, has_query) = (imported.outputs, imported.classifier);
    let spec = imported
        .config
        .resolve_with(token_dim, outputs, has_query)?;
    let core = PerceiverCore::new(&mut store.root(), &spec)?;
    case.load(&mut store)?;

    let values = match (&tokenizer, &imported.source) {
        (Some(tokenizer), _) => {
            let image = [("image".to_owned(), data.shallow_clone())];
            let tokens = tokenizer.tokenize(&model_inputs(&image.into()), &mut case.pass())?;
            tokens.values().shallow_clone()
        }
        (None, PerceiverTokens::Pixels) => data.f_flatten(2, -1)?.f_transpose(1, 2)?,
        (None, _) => data.shallow_clone(),
    };
    let tokens = match inputs.get("mask") {
        Some(mask) => Tokens::masked(values, mask.f_to_kind(Kind::Bool)?.f_flatten(1, -1)?)?,
        None => Tokens::new(values)?,
    };
    let mut ctx = case.pass();
    let latents = core.encode(&tokens, &mut ctx)?;
    // Without queries the latents are the result.
    let result = match inputs.get("queries").or(core.query()) {
        None => latents,
        Some(queries) => {
            let answers = core.decode(latents, queries, &mut ctx)?;
            match imported.classifier {
                true => answers.f_select(1, 0)?,
                false => answers,
            }
        }
    };
    drop(ctx);
    case.noise_is_used()?;
    if core.query().is_some() || inputs.contains_key("queries") {
        case.expect_fused(&spec)?;
    }
    let output = output_name(case)?;
    if inputs.contains_key("targets") && imported.classifier {
        case.check(&format!("out.{output}"), &result)?;
        return check_cross_entropy(case, &result, &inputs, Some(&store));
    }
    case.check_squares(&[(&output, &result)], &inputs, Some(&store))
}

/// The name of the one output besides losses.
fn output_name(case: &Case<'_>) -> CaseResult<String> {
    let recorded: BTreeMap<&str, &Tensor> = case.golden().below("out.").collect();
    let mut names = recorded.keys().filter(|name| !name.starts_with("loss"));
    match (names.next(), names.next()) {
        (Some(name), None) => Ok((*name).to_owned()),
        _ => Err(CaseError::Broken(format!(
            "expected one output, found {recorded:?}"
        ))),
    }
}
