//! [`TrainedPart`]: which parameters of a model are adapted.

use std::collections::BTreeMap;

use nac_core::model::spec::{Node as _, ParameterSpec};
use nac_core::model::{ModelFile, ModelKind, OutputSpec};
use nac_modules::model::BuildModel as _;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::optim::matches;

/// What is trained of a model that is adapted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainedPart {
    /// The head alone: what turns the states of read-out modules, or the answer of Perceiver IO's query, into outputs.
    Head,
    /// The head and what each module has for itself: signatures and codes of a circuit, the latents of Perceiver IO.
    Descriptors,
    /// Every parameter.
    All,
}

/// Heads of circuits, and of Perceiver IO and the stem alone.
const HEADS: [&str; 2] = ["output_tokenizer.*", "to_logits.*"];
const CIRCUIT: [&str; 2] = ["*.codes_", "*.signatures_"];
const PERCEIVER_IO: [&str; 1] = ["latents"];

impl TrainedPart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Head, Self::Descriptors, Self::All];

    /// Name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Descriptors => "descriptors",
            Self::All => "all",
        }
    }

    /// Patterns of the names of the parameters, for [`set_trained`](crate::optim::set_trained).
    ///
    /// # Errors
    /// A setting of the model is out of range, or [`TrainError::Setting`] if the model has no such parameters: the stem
    /// alone has no descriptors.
    pub fn patterns(self, file: &ModelFile) -> Result<Vec<String>> {
        if self == Self::All {
            return Ok(vec!["*".into()]);
        }
        let parameters = file.spec()?.parameters();
        let own = |parameter: &&ParameterSpec| parameter.trained && parameter.shared_with.is_none();
        let names: Vec<&str> = parameters
            .iter()
            .filter(own)
            .map(|p| p.name.as_str())
            .collect();
        let found = |patterns: &[&str]| -> Vec<String> {
            let known = patterns
                .iter()
                .filter(|p| names.iter().any(|name| matches(p, name)));
            known.map(ToString::to_string).collect()
        };
        let descriptors = match file.model.kind {
            ModelKind::Nac => found(&CIRCUIT),
            ModelKind::PerceiverIo => found(&PERCEIVER_IO),
            _ => Vec::new(),
        };
        let mut patterns = found(&HEADS);
        // Where states are the outputs, as with the first slot, no head has a name of its own.
        let covered = |name: &String| patterns.iter().any(|pattern| matches(pattern, name));
        let more: Vec<String> = answer_names(file)?
            .into_iter()
            .filter(|n| !covered(n))
            .collect();
        patterns.extend(more);
        if self == Self::Descriptors {
            if descriptors.is_empty() {
                let reason = format!(
                    "a model of kind {} has none that are trained",
                    file.model.kind
                );
                return Err(TrainError::setting("train", "descriptors", reason));
            }
            patterns.extend(descriptors);
        }
        Ok(patterns)
    }
}

impl std::fmt::Display for TrainedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for TrainedPart {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|part| part.name() == name);
        found.ok_or_else(|| format!("`{name}` is not one of head, descriptors, all"))
    }
}

/// Names of the tensors whose sizes depend on the number of answers. A model for other classes has new ones.
///
/// # Errors
/// A setting of the model is out of range.
pub fn answer_names(file: &ModelFile) -> Result<Vec<String>> {
    let shapes = |count: usize| -> Result<BTreeMap<String, Vec<usize>>> {
        let mut file = file.clone();
        file.output = OutputSpec::classes(count);
        let parameters = file.spec()?.parameters().into_iter();
        Ok(parameters.map(|p| (p.name, p.shape)).collect())
    };
    let count = file.output.width();
    let (ours, others) = (shapes(count)?, shapes(count.saturating_add(1))?);
    let differs = |(name, shape): &(String, Vec<usize>)| others.get(name) != Some(shape);
    Ok(ours
        .into_iter()
        .filter(differs)
        .map(|(name, _)| name)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::model::{HeadKind, InputSpec, ModelConfig};

    fn file(change: impl Fn(&mut ModelConfig)) -> ModelFile {
        let mut model = ModelConfig::default();
        let circuit = &mut model.circuit;
        (circuit.modules, circuit.state_dim, circuit.propagators) = (4, 8, 1);
        change(&mut model);
        ModelFile {
            inputs: InputSpec::image(1, 8, 8),
            output: OutputSpec::classes(3),
            preprocessing: Default::default(),
            model,
        }
    }

    #[test]
    fn a_new_head_is_all_that_depends_on_the_number_of_classes() {
        let names = |change: &dyn Fn(&mut ModelConfig)| answer_names(&file(change)).unwrap();
        let circuit = names(&|_| ());
        assert_eq!(
            circuit,
            [
                "output_tokenizer.to_logits.bias",
                "output_tokenizer.to_logits.weight"
            ]
        );
        let baseline = names(&|model| model.kind = ModelKind::PerceiverIo);
        assert_eq!(baseline, ["to_logits.bias", "to_logits.weight"]);
    }

    #[test]
    fn parts_are_what_the_model_has() {
        let patterns =
            |part: TrainedPart, kind: ModelKind| part.patterns(&file(|model| model.kind = kind));
        let circuit = patterns(TrainedPart::Descriptors, ModelKind::Nac).unwrap();
        assert_eq!(circuit, ["output_tokenizer.*", "*.codes_", "*.signatures_"]);
        let baseline = patterns(TrainedPart::Descriptors, ModelKind::PerceiverIo).unwrap();
        assert_eq!(baseline, ["to_logits.*", "latents"]);
        assert_eq!(
            patterns(TrainedPart::Head, ModelKind::PerceiverIo).unwrap(),
            ["to_logits.*"]
        );
        assert_eq!(patterns(TrainedPart::All, ModelKind::Nac).unwrap(), ["*"]);
        let error = patterns(TrainedPart::Descriptors, ModelKind::StemOnly).unwrap_err();
        assert!(
            error.to_string().starts_with("train = descriptors"),
            "{error}"
        );
    }

    #[test]
    fn a_circuit_without_named_head_trains_what_gives_the_answer() {
        let first_slot = file(|model| {
            model.circuit.head.kind = HeadKind::FirstSlot;
            model.circuit.read_out.use_head = true;
        });
        let answers = answer_names(&first_slot).unwrap();
        let head = TrainedPart::Head.patterns(&first_slot).unwrap();
        assert!(!answers.is_empty());
        assert_eq!(head, answers);
    }
}
