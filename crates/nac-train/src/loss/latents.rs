//! Which sets of modules a term on signatures looks at, and the distances between their signatures.

use nac_modules::model::Model;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Result, TrainError};

/// Sets of modules. In a file a list: `["input", "mediator", "output"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<LatentSet>", into = "Vec<LatentSet>")]
pub struct Latents {
    /// Read-in modules.
    pub input: bool,
    /// Processor modules.
    pub mediator: bool,
    /// Read-out modules.
    pub output: bool,
}

/// A set of modules, as in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LatentSet {
    Input,
    Mediator,
    Output,
}

impl Latents {
    /// Processor modules only.
    pub const MEDIATOR: Self = Self {
        input: false,
        mediator: true,
        output: false,
    };
    /// All sets.
    pub const ALL: Self = Self {
        input: true,
        mediator: true,
        output: true,
    };
}

impl TryFrom<Vec<LatentSet>> for Latents {
    type Error = String;

    fn try_from(sets: Vec<LatentSet>) -> std::result::Result<Self, String> {
        let has = |set| sets.contains(&set);
        let latents = Self {
            input: has(LatentSet::Input),
            mediator: has(LatentSet::Mediator),
            output: has(LatentSet::Output),
        };
        let different = Vec::from(latents).len();
        if different == 0 || different != sets.len() {
            return Err("list at least one of input, mediator and output, each once".into());
        }
        Ok(latents)
    }
}

impl From<Latents> for Vec<LatentSet> {
    fn from(latents: Latents) -> Self {
        let sets = [
            (latents.input, LatentSet::Input),
            (latents.mediator, LatentSet::Mediator),
            (latents.output, LatentSet::Output),
        ];
        sets.into_iter()
            .filter_map(|(has, set)| has.then_some(set))
            .collect()
    }
}

/// Signatures of the chosen sets of modules: read-in, then processor, then read-out modules.
///
/// They are the parameters (or buffers) whose names end in `input_latents.signatures_`,
/// `mediator_latents.signatures_` and `output_latents.signatures_`.
///
/// # Shapes
/// - output: `[modules, dim]`, attached to the model's parameters
///
/// # Errors
/// The model has no signatures of a chosen set, or they do not go together. `term` is named in the message.
pub fn signatures(model: &dyn Model, latents: Latents, term: &str) -> Result<Tensor> {
    let sets = [
        (latents.input, "input"),
        (latents.mediator, "mediator"),
        (latents.output, "output"),
    ];
    let mut parts = Vec::new();
    for (_, set) in sets.into_iter().filter(|(chosen, _)| *chosen) {
        let suffix = format!("{set}_latents.signatures_");
        let name = model
            .params()
            .iter()
            .map(|(name, _)| name)
            .find(|name| name.ends_with(&suffix));
        let Some(part) = name.and_then(|name| model.params().get(name)) else {
            return Err(TrainError::Loss {
                name: term.to_owned(),
                reason: format!("the model has no signatures of {set} modules"),
            });
        };
        parts.push(part);
    }
    Ok(match parts.as_slice() {
        [only] => only.shallow_clone(),
        parts => Tensor::f_cat(parts, 0)?,
    })
}

/// Cosine distance of each pair of different modules, once.
///
/// # Shapes
/// - signatures: `[modules, dim]`
/// - output: `[modules·(modules − 1)/2]`, differentiable
pub(super) fn pair_distances(signatures: &Tensor) -> Result<Tensor> {
    let size = signatures.size();
    let [modules, _] = size.as_slice() else {
        let reason = format!("signatures must be [modules, dim], found {size:?}");
        return Err(TrainError::State(reason));
    };
    let norm = signatures.f_norm_scalaropt_dim(2.0, [-1_i64].as_slice(), true)?;
    let unit = signatures.f_div(&norm.f_clamp_min(1e-12)?)?;
    let distance = unit
        .f_matmul(&unit.f_transpose(0, 1)?)?
        .f_neg()?
        .f_add_scalar(1.0)?;
    let pairs = Tensor::f_triu_indices(*modules, *modules, 1, (Kind::Int64, signatures.device()))?;
    let places = pairs
        .f_get(0)?
        .f_mul_scalar(*modules)?
        .f_add(&pairs.f_get(1)?)?;
    Ok(distance.f_flatten(0, 1)?.f_index_select(0, &places)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct File {
        latents: Latents,
    }

    #[test]
    fn sets_are_read_and_written() {
        let read = |text: &str| toml::from_str::<File>(&format!("latents = {text}"));
        let both = read("[\"output\", \"mediator\"]").unwrap();
        assert_eq!(
            both.latents,
            Latents {
                input: false,
                ..Latents::ALL
            }
        );
        assert_eq!(
            toml::to_string(&both).unwrap(),
            "latents = [\"mediator\", \"output\"]\n"
        );
        for wrong in ["[]", "[\"input\", \"input\"]", "[\"hidden\"]", "\"input\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_are_those_above_the_diagonal() {
        let signatures = Tensor::from_slice2(&[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]);
        let distances: Vec<f64> = pair_distances(&signatures).unwrap().try_into().unwrap();
        assert_eq!(distances, [1.0, 2.0, 1.0]);
        let one: Vec<f64> = pair_distances(&signatures.narrow(0, 0, 1))
            .unwrap()
            .try_into()
            .unwrap();
        assert!(one.is_empty());
        assert!(pair_distances(&signatures.get(0)).is_err());
    }
}
