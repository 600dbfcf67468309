//! Resolved models: from loose settings to a tree in which nothing is left to decide.
//!
//! Settings inherit from each other, have defaults that depend on where they stand, and say once what holds for
//! many layers. [`ModelFile::resolve`](super::ModelFile::resolve) settles all of that: every layer with its sizes,
//! the settings in effect, what it shares, and the dotted path of its parameters. Whoever builds, loads, counts or
//! prints a model walks the same tree.
//!
//! ```
//! use nac_core::model::{Preset, spec};
//!
//! let model = Preset::get("cpu-digits")?.file.resolve()?;
//! print!("{}", spec::tree(&model, 3));
//! # use spec::Node;
//! # let text = spec::tree(&model, 3);
//! # assert!(text.contains("latent_graphs.0.propagators.1: propagator"), "{text}");
//! assert_eq!(model.parameter_count(), 451_359);
//! # Ok::<(), nac_core::model::ConfigError>(())
//! ```

mod attention;
mod block;
mod circuit;
mod condition;
mod generator;
mod head;
mod inputs;
mod layer;
mod model;
mod node;
mod operations;
mod perceiver_io;
mod stem_only;
mod tokenizer;

pub use attention::{
    AttentionRole, KernelSpec, PlainAttentionSpec, ReadInAttentionSpec, SkmdpaSpec,
};
pub use block::{InputMixerSpec, OutputProjectionSpec, PropagatorSpec, ReadInSpec, ReadOutSpec};
pub use circuit::{CircuitSpec, PropagationSpec};
pub use condition::{ConditionSpec, GatedSpec};
pub use generator::{GeneratorSpec, ModuleSetSpec, SeederSpec, StateProjectionSpec};
pub use head::{ConfidencePoolingSpec, HeadSpec};
pub use inputs::{InputsSpec, JoinSpec, TokenizedInputSpec};
pub use layer::{LinearSpec, ModFfnSpec, NormSpec, ProjectionSpec, ResidualSpec, Surroundings};
pub use model::{BodySpec, ModelSpec};
pub use node::{Node, OwnTensor, ParameterSpec, tree};
pub use operations::{Algorithm, Operations, Stage, Work, table};
pub use perceiver_io::{FeedForwardSpec, PerceiverIoSpec, PerceiverLayerSpec};
pub use stem_only::StemOnlySpec;
pub use tokenizer::{
    ConvNextBlockSpec, ConvNextSpec, ConvNextStageSpec, ConvSequenceSpec, ConvStageSpec,
    ConvStemSpec, EmbeddingSpec, GridSpec, NgramsSpec, PatchSpec, PatchesSpec, PixelsSpec,
    RecurrenceSpec, RecurrentSpec, SequenceConvSpec, SymbolsSpec, TokenizerSpec, VectorsSpec,
    WhiteningSpec,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GeneratorKind, ModelFile, OutputSpec, Preset};

    fn preset(name: &str, change: impl Fn(&mut ModelFile)) -> ModelSpec {
        let mut file = Preset::get(name).unwrap().file;
        change(&mut file);
        file.resolve().unwrap()
    }

    #[test]
    fn a_shared_propagator_has_every_name_and_is_counted_once() {
        let plain = preset("cpu-digits", |_| ());
        let shared = preset("cpu-digits", |file| {
            file.model.circuit.wiring.share_propagators = true;
        });
        let (all, ours) = (plain.parameters(), shared.parameters());
        let names = |of: &[ParameterSpec]| of.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&all), names(&ours));
        let found = ours
            .iter()
            .find(|p| p.name.ends_with("propagators.2.ffn.ffn.0.scale_gain"));
        assert_eq!(
            found.unwrap().shared_with.as_deref(),
            Some("latent_graphs.0.propagators.0.ffn.ffn.0.scale_gain")
        );
        let BodySpec::Nac(circuit) = &plain.body else {
            panic!("a circuit")
        };
        let one = circuit.propagations[0].propagator.parameter_count();
        assert_eq!(plain.parameter_count() - shared.parameter_count(), 3 * one);
    }

    #[test]
    fn a_text_goes_to_the_generator_alone() {
        let name = "cpu-sort-of-clevr-conditional";
        let spec = preset(name, |_| ());
        let tokens: Vec<&str> = spec.inputs.inputs.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(tokens, ["image"]);
        let circuit = |spec: &ModelSpec| match &spec.body {
            BodySpec::Nac(circuit) => circuit.clone(),
            _ => panic!("a circuit"),
        };
        let whole = circuit(&spec).generator.condition.unwrap();
        let text: Vec<String> = whole.parameters().into_iter().map(|p| p.name).collect();
        for name in [
            "queries",
            "tokenizer.embedding.weight",
            "codes.gate",
            "read.0.norm.bias",
        ] {
            let name = format!("latent_graphs.0.text_generator.{name}");
            assert!(text.contains(&name), "{name} in {text:?}");
        }
        let free = preset(name, |file| {
            file.model.generator.kind = GeneratorKind::Free;
            file.model.unused_inputs = vec!["question".into()];
        });
        assert_eq!(circuit(&free).generator.condition, None);
        let count = spec.parameter_count() - free.parameter_count();
        assert_eq!(count, whole.parameter_count());
        let joined = preset(name, |file| file.model.generator.kind = GeneratorKind::Free);
        assert_eq!(joined.inputs.tokens(), free.inputs.tokens() + 12);
        let codes = preset(name, |file| file.model.generator.signatures = false);
        let condition = circuit(&codes).generator.condition.unwrap();
        assert!(condition.signatures.is_none() && condition.codes.is_some());
        let mut file = Preset::get(name).unwrap().file;
        for (unused, part) in [("question", "the generator reads it"), ("sound", "only")] {
            file.model.unused_inputs = vec![unused.into()];
            let error = file.resolve().unwrap_err().to_string();
            assert!(
                error.contains("unused_inputs") && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn controls_of_the_conditional_circuit_have_its_size() {
        let count =
            |name: &str| preset(&format!("cpu-sort-of-clevr-{name}"), |_| ()).parameter_count();
        let target = count("conditional");
        for name in ["codes", "signatures", "free", "text-tokens", "perceiver-io"] {
            let found = count(name);
            assert!(
                found.abs_diff(target) * 100 < target,
                "{name}: {found} against {target}"
            );
        }
    }

    #[test]
    fn inherited_settings_are_settled() {
        let spec = preset("cpu-digits", |file| {
            let circuit = &mut file.model.circuit;
            circuit.drop_path = 0.25;
            circuit.mod_fc.scale_gain = 0.5;
            circuit.propagator.drop_path = Some(0.125);
            circuit.propagator.ffn.mod_fc = Some(Default::default());
            circuit.wiring.codes_per_propagator = true;
        });
        let BodySpec::Nac(circuit) = &spec.body else {
            panic!("a circuit")
        };
        let propagator = &circuit.propagations[3].propagator;
        assert_eq!(propagator.attention.query.mod_fc.scale_gain, 0.5);
        assert_eq!(propagator.ffn.expand.mod_fc.scale_gain, 0.1);
        assert_eq!(propagator.ffn.residual.drop_path, 0.125);
        assert_eq!(circuit.read_in.ffn.residual.drop_path, 0.25);
        assert_eq!(circuit.propagations[3].code_layer, 3);
        assert_eq!(circuit.read_out_code_layer, 3);
    }

    #[test]
    fn sizes_of_zero_and_bad_probabilities_are_named() {
        let refused = |name: &str, word: &str, change: &dyn Fn(&mut ModelFile)| {
            let mut file = Preset::get(name).unwrap().file;
            change(&mut file);
            let error = file.resolve().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused("cpu-digits", "state_dim", &|f| {
            f.model.circuit.state_dim = 0
        });
        refused("cpu-digits", "output.classes", &|f| {
            f.output = OutputSpec::classes(0);
        });
        refused("cpu-digits", "drop_path", &|f| {
            f.model.circuit.drop_path = 1.0
        });
        refused("cpu-digits", "code_noise", &|f| {
            f.model.circuit.read_in.code_noise = -1.0
        });
        refused("cpu-listops", "position_dim", &|f| {
            f.model.embedding.position_dim = 0
        });
        refused("cpu-digits", "model.circuit.mod_fc.scale_dropout", &|f| {
            f.model.circuit.mod_fc.scale_dropout = 1.0
        });
        refused("cpu-digits", "model.circuit.read_out.drop_path", &|f| {
            f.model.circuit.read_out.drop_path = Some(1.0)
        });
        let kernel = "model.circuit.propagator.attention.kernel.bandwidth";
        refused("cpu-digits", kernel, &|f| {
            f.model.circuit.propagator.attention.kernel.bandwidth = 0.0
        });
        let name = "imagenet-perceiver-io";
        refused(name, "latents", &|f| f.model.perceiver_io.latents = 0);
    }
}
