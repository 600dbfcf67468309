//! Sets of modules that a term on signatures covers, and the distances between their signatures.

use nac_modules::circuit::CircuitOutput;
use nac_modules::generator::{ModuleGroup, join_modules};
use nac_modules::model::ModelOutput;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Result, TrainError};

/// Sets of modules. In a file a list: `["read_in", "processors", "read_out"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ModuleGroup>", into = "Vec<ModuleGroup>")]
pub struct ModuleGroups {
    chosen: [bool; 3],
}

impl ModuleGroups {
    /// Processors only.
    pub const PROCESSORS: Self = Self {
        chosen: [false, true, false],
    };
    /// Processors and read-out modules.
    pub const PROCESSORS_AND_READ_OUT: Self = Self {
        chosen: [false, true, true],
    };
    /// All sets.
    pub const ALL: Self = Self { chosen: [true; 3] };

    /// The sets: read-in, then processor, then read-out modules.
    pub fn iter(self) -> impl Iterator<Item = ModuleGroup> {
        let all = ModuleGroup::ALL.into_iter().zip(self.chosen);
        all.filter_map(|(group, chosen)| chosen.then_some(group))
    }

    /// Whether `group` is among them.
    pub fn contains(self, group: ModuleGroup) -> bool {
        self.iter().any(|chosen| chosen == group)
    }

    /// Signatures of these modules in the circuit that a model used: read-in, then processor, then read-out modules.
    ///
    /// # Shapes
    /// - output: `[modules, dim]`, or `[batch, modules, dim]` if one of the sets is per example; attached to what
    ///   they were computed from
    ///
    /// # Errors
    /// There is no circuit, it has no such modules, or their shapes do not match. `term` is named in the message.
    pub fn signatures(self, output: &ModelOutput, term: &str) -> Result<Tensor> {
        let circuit = &circuit(output, term)?.circuit;
        let mut found: Option<Tensor> = None;
        for group in self.iter() {
            if group == ModuleGroup::ReadIn && circuit.processors_read() {
                return Err(TrainError::Loss {
                    name: term.to_owned(),
                    reason: "the circuit has no separate read-in modules".into(),
                });
            }
            let signatures = &circuit.group(group).signatures;
            found = Some(match found {
                Some(found) => join_modules("signatures", &found, signatures)?,
                None => signatures.shallow_clone(),
            });
        }
        found.ok_or_else(|| TrainError::Loss {
            name: term.to_owned(),
            reason: "no set of modules is chosen".into(),
        })
    }
}

impl TryFrom<Vec<ModuleGroup>> for ModuleGroups {
    type Error = String;

    fn try_from(groups: Vec<ModuleGroup>) -> std::result::Result<Self, String> {
        let chosen = ModuleGroup::ALL.map(|group| groups.contains(&group));
        let different = chosen.iter().filter(|chosen| **chosen).count();
        if different == 0 || different != groups.len() {
            let reason = "list at least one of read_in, processors and read_out, each once";
            return Err(reason.into());
        }
        Ok(Self { chosen })
    }
}

impl From<ModuleGroups> for Vec<ModuleGroup> {
    fn from(groups: ModuleGroups) -> Self {
        groups.iter().collect()
    }
}

/// The circuit that a model used. `term` is named in the message if there is none.
pub(super) fn circuit<'a>(output: &'a ModelOutput, term: &str) -> Result<&'a CircuitOutput> {
    output.circuit.as_ref().ok_or_else(|| TrainError::Loss {
        name: term.to_owned(),
        reason: "the model has no circuit".into(),
    })
}

/// Cosine distance of each pair of different modules, once.
///
/// # Shapes
/// - signatures: `[modules, dim]` or `[batch, modules, dim]`
/// - output: `[modules·(modules − 1)/2]` or `[batch, modules·(modules − 1)/2]`, differentiable
pub(super) fn pair_distances(signatures: &Tensor) -> Result<Tensor> {
    let size = signatures.size();
    let modules = match size.as_slice() {
        [modules, _] | [_, modules, _] => *modules,
        _ => {
            let reason = format!("signatures must be [(batch,) modules, dim], found {size:?}");
            return Err(TrainError::State(reason));
        }
    };
    let norm = signatures.f_norm_scalaropt_dim(2.0, [-1_i64].as_slice(), true)?;
    let unit = signatures.f_div(&norm.f_clamp_min(1e-12)?)?;
    let distance = unit
        .f_matmul(&unit.f_transpose(-2, -1)?)?
        .f_neg()?
        .f_add_scalar(1.0)?;
    let pairs = Tensor::f_triu_indices(modules, modules, 1, (Kind::Int64, signatures.device()))?;
    let index = pairs
        .f_get(0)?
        .f_mul_scalar(modules)?
        .f_add(&pairs.f_get(1)?)?;
    Ok(distance.f_flatten(-2, -1)?.f_index_select(-1, &index)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct File {
        modules: ModuleGroups,
    }

    #[test]
    fn sets_are_read_and_written() {
        let read = |text: &str| toml::from_str::<File>(&format!("modules = {text}"));
        let both = read("[\"read_out\", \"processors\"]").unwrap();
        let groups: Vec<ModuleGroup> = both.modules.into();
        assert_eq!(groups, [ModuleGroup::Processors, ModuleGroup::ReadOut]);
        assert_eq!(
            toml::to_string(&both).unwrap(),
            "modules = [\"processors\", \"read_out\"]\n"
        );
        for wrong in [
            "[]",
            "[\"read_in\", \"read_in\"]",
            "[\"hidden\"]",
            "\"read_in\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_are_those_above_the_diagonal() {
        let signatures = Tensor::from_slice2(&[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]);
        let flat = |signatures: &Tensor| -> Vec<f64> {
            let distances = pair_distances(signatures).unwrap();
            Vec::try_from(distances.flatten(0, -1)).unwrap()
        };
        assert_eq!(flat(&signatures), [1.0, 2.0, 1.0]);
        let batch = Tensor::stack(&[&signatures, &signatures.flip([0])], 0);
        assert_eq!(flat(&batch), [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
        assert!(flat(&signatures.narrow(0, 0, 1)).is_empty());
        assert!(pair_distances(&signatures.get(0)).is_err());
    }
}
