//! Import of the reference's settings: refusals and a whole model.
#![allow(clippy::unwrap_used)]

use nac_core::model::spec::Node as _;
use nac_core::model::{InputSpec, ReadInSends};
use nac_pytorch::settings::{Imported, import};
use serde_json::{Value, json};

/// A small circuit as the reference writes it.
fn small() -> Value {
    json!({
        "cls": "NeuralCompiler", "input_dim": 3, "output_dim": 4, "state_dim": 16,
        "input_tokenizer_type": "ConvNeXtImageTokenizer",
        "input_tokenizer_kwargs": {"capacity_preset": "femto", "num_stages": 2},
        "latent_graph_type": "LatentGraph",
        "latent_graph_kwargs": {
            "signature_dim": 4, "num_input_latents": 5, "num_mediator_latents": 6,
            "num_output_latents": 2, "num_iterations": 2, "num_heads": 2, "head_dim": 4,
            "ffn_capacity_factor": 2, "read_out_kwargs": {"use_head": false},
        },
        "output_tokenizer_type": "OutputLatentPooling",
    })
}

#[test]
fn refusals_name_the_option() {
    let refused = |pointer: &str, key: &str, value: Value, path: &str| {
        let mut table = small();
        let inner = table.pointer_mut(pointer).unwrap();
        inner[key] = value;
        let error = import(&table).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    };
    let graph = "/latent_graph_kwargs";
    refused(
        graph,
        "propagator_kwargs",
        json!({"latent_attention_kwargs": {"kernel_kwargs": {"trunkation": 0.9}}}),
        "latent_graph_kwargs.propagator_kwargs.latent_attention_kwargs.kernel_kwargs.trunkation",
    );
    refused(
        graph,
        "num_heads",
        json!("two"),
        "latent_graph_kwargs.num_heads",
    );
    refused(
        graph,
        "read_in_cls",
        json!("Other"),
        "latent_graph_kwargs.read_in_cls",
    );
    refused(
        graph,
        "propagator_layerwise_kwargs",
        json!({"layer_scale_initial_value": [0.1, 0.2]}),
        "propagator_layerwise_kwargs.layer_scale_initial_value",
    );
    refused("", "speed", json!(1), "`speed` = 1");
    refused("", "state_dim", json!(-3), "`state_dim` = -3");
    let mut table = small();
    let _ = table.as_object_mut().unwrap().remove("output_dim");
    let error = import(&table).unwrap_err().to_string();
    assert_eq!(error, "`output_dim` is missing");
}

#[test]
fn a_small_circuit_is_built_and_survives_serialisation() {
    let Imported::Model(model) = import(&small()).unwrap() else {
        panic!("not a model")
    };
    let text = serde_json::to_string(&model.config).unwrap();
    assert_eq!(model.config, serde_json::from_str(&text).unwrap());
    let input = InputSpec::image(3, 32, 32);
    let spec = model.config.resolve(&input, model.classes).unwrap();
    assert!(spec.parameter_count() > 1000);
}

#[test]
fn processors_may_attend_to_the_read_in_once() {
    for (disabled, persistent, expected) in [
        (true, true, ReadInSends::Never),
        (true, false, ReadInSends::Never),
        (false, false, ReadInSends::First),
        (false, true, ReadInSends::Every),
    ] {
        let mut table = small();
        let graph = table.pointer_mut("/latent_graph_kwargs").unwrap();
        graph["disable_input_mediator_communication"] = json!(disabled);
        graph["enable_persistent_input_mediator_communication"] = json!(persistent);
        let Imported::Model(model) = import(&table).unwrap() else {
            panic!("not a model")
        };
        let found = model.config.circuit.wiring.read_in_sends_to_processors;
        assert_eq!(found, expected);
    }
}
