//! What cannot be run is an error with its place, and never a panic.

use nac_core::model::{
    EvaluationLinks, ModelFile, OutputSpec, PoolingSoftmax, ReadInKind, SeederConfig, StateMean,
};
use nac_engine::{CoreEngine, Engine, EngineError, EngineOptions, Inputs, ModelWeights, Precision};
use ndarray::{Array2, Array4};

use super::both::{core, small, weights, with};

fn one() -> EngineOptions {
    EngineOptions {
        threads: 1,
        ..Default::default()
    }
}

fn refused(file: &ModelFile, weights: &ModelWeights) -> EngineError {
    CoreEngine::new(file.clone(), weights, one()).unwrap_err()
}

/// The weights with a change of their names and shapes; `None` leaves a tensor out.
fn changed(
    weights: &ModelWeights,
    change: impl Fn(&str, &[usize]) -> Option<(String, Vec<usize>)>,
) -> ModelWeights {
    let mut new = ModelWeights::new();
    for (name, shape) in weights.iter() {
        if let Some((name, shape)) = change(name, shape) {
            let count = shape.iter().product();
            new.insert(name, &shape, vec![0.1; count]).unwrap();
        }
    }
    new
}

#[test]
fn weights_that_are_not_those_of_the_settings() {
    let file = small();
    let good = weights(&file);
    let names: Vec<String> = good.iter().map(|(name, _)| name.to_owned()).collect();
    for victim in &names {
        let less = changed(&good, |name, shape| {
            (name != victim).then(|| (name.to_owned(), shape.to_vec()))
        });
        match refused(&file, &less) {
            EngineError::MissingWeight { name, .. } => assert_eq!(&name, victim),
            other => panic!("{victim}: {other}"),
        }
        let other_shape = changed(&good, |name, shape| {
            let mut shape = shape.to_vec();
            if name == victim {
                shape.push(2);
            }
            Some((name.to_owned(), shape))
        });
        match refused(&file, &other_shape) {
            EngineError::WeightShape { name, found, .. } => {
                assert_eq!((&name, found.last()), (victim, Some(&2)));
            }
            other => panic!("{victim}: {other}"),
        }
    }
    let mut more = good.clone();
    more.insert("latent_graphs.1.extra", &[1], vec![0.0])
        .unwrap();
    match refused(&file, &more) {
        EngineError::UnexpectedWeights { names } => assert_eq!(names, ["latent_graphs.1.extra"]),
        other => panic!("{other}"),
    }
}

#[test]
fn shared_layers_that_differ() {
    let file = with(|file| file.model.circuit.wiring.share_propagators = true);
    let mut weights = weights(&file);
    let name = "latent_graphs.0.propagators.2.ffn.layernorm.bias";
    weights.insert(name, &[24], vec![0.5; 24]).unwrap();
    let error = refused(&file, &weights).to_string();
    assert!(
        error.contains(name) && error.contains("propagators.0.ffn"),
        "{error}"
    );
}

#[test]
fn shared_layers_may_be_stored_once() {
    let file = with(|file| file.model.circuit.wiring.share_propagators = true);
    let all = weights(&file);
    let mut once = ModelWeights::new();
    for (name, shape) in all.iter() {
        if !name.contains("propagators.1.") && !name.contains("propagators.2.") {
            let values = all.get(name).unwrap().1.to_vec();
            once.insert(name, shape, values).unwrap();
        }
    }
    let image = Array4::from_elem((1, 3, 24, 20), 0.3_f32);
    let logits = |weights: &ModelWeights| {
        let engine = CoreEngine::new(file.clone(), weights, one()).unwrap();
        engine.infer(&Inputs::image(image.view())).unwrap()
    };
    assert_eq!(logits(&once), logits(&all));
}

#[test]
fn inputs_that_the_model_does_not_read() {
    let engine = core(&small(), 1, Precision::F32);
    for shape in [
        (2, 3, 24, 21),
        (2, 3, 20, 24),
        (2, 1, 24, 20),
        (2, 3, 0, 20),
    ] {
        let image = Array4::<f32>::zeros(shape);
        match engine.infer(&Inputs::image(image.view())).unwrap_err() {
            EngineError::Input { expected, .. } => assert!(expected.contains("[batch, 3, 24, 20]")),
            other => panic!("{other}"),
        }
    }
    let tokens = Array2::<i64>::zeros((2, 7));
    let error = engine.infer(&Inputs::tokens(tokens.view())).unwrap_err();
    assert!(matches!(error, EngineError::Input { .. }), "{error}");
    let image = Array4::<f32>::zeros((2, 3, 24, 20));
    for shape in [(2, 4), (1, 5), (3, 5)] {
        let mut room = Array2::zeros(shape);
        let error = engine.infer_into(&Inputs::image(image.view()), room.view_mut());
        assert!(matches!(
            error.unwrap_err(),
            EngineError::OutputShape { .. }
        ));
    }
}

#[test]
fn symbols_that_do_not_exist() {
    let file = with(|file| {
        file.inputs = nac_core::model::InputSpec::tokens(6, 9, 0);
    });
    let engine = core(&file, 1, Precision::F32);
    for symbol in [-1, 6, i64::MAX] {
        let tokens = Array2::from_elem((1, 4), symbol);
        let error = engine
            .infer(&Inputs::tokens(tokens.view()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("symbols in 0..6"), "{error}");
    }
    for length in [0, 10] {
        let tokens = Array2::<i64>::ones((1, length));
        let error = engine
            .infer(&Inputs::tokens(tokens.view()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("integers [batch, 1..=9]"), "{error}");
    }
    // Nothing but padding is no panic, whatever it means.
    let padding = Array2::<i64>::zeros((1, 4));
    assert_eq!(
        engine.infer(&Inputs::tokens(padding.view())).unwrap().dim(),
        (1, 5)
    );
}

#[test]
fn projection_read_in_needs_a_token_for_each_module() {
    let file = with(|file| file.model.circuit.read_in.kind = ReadInKind::Projection);
    let engine = core(&file, 1, Precision::F32);
    let image = Array4::<f32>::zeros((1, 3, 24, 20));
    let error = engine
        .infer(&Inputs::image(image.view()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("30 tokens") && error.contains("41 tokens"),
        "{error}"
    );
}

#[test]
fn settings_that_need_noise_or_make_no_sense() {
    let needs_noise = |change: &dyn Fn(&mut ModelFile), setting: &str| {
        let file = with(change);
        match refused(&file, &weights(&file)) {
            EngineError::Unsupported { setting: found, .. } => assert_eq!(found, setting),
            other => panic!("{other}"),
        }
    };
    needs_noise(
        &|file| file.model.circuit.propagator.attention.kernel.evaluation = EvaluationLinks::Sample,
        "kernel.evaluation",
    );
    needs_noise(
        &|file| file.model.circuit.read_out.attention.kernel.evaluation = EvaluationLinks::Sample,
        "kernel.evaluation",
    );
    needs_noise(
        &|file| {
            file.model.circuit.seeder = SeederConfig {
                mean: StateMean::Projection,
                state_noise: true,
                noise_in_evaluation: true,
                ..SeederConfig::default()
            };
        },
        "seeder.noise_in_evaluation",
    );
    needs_noise(
        &|file| {
            file.model.circuit.head.softmax = PoolingSoftmax::Gumbel;
            file.model.circuit.head.noise_in_evaluation = true;
        },
        "head.noise_in_evaluation",
    );
    let whole = weights(&small());
    let changes: [&dyn Fn(&mut ModelFile); 12] = [
        &|f| f.model.circuit.propagators = 0,
        &|f| f.model.circuit.modules = 0,
        &|f| f.model.circuit.state_dim = 0,
        &|f| f.model.circuit.signature_dim = 0,
        &|f| f.model.circuit.read_out_modules = 0,
        &|f| f.model.circuit.propagator.attention.heads = Some(0),
        &|f| f.model.circuit.propagator.attention.head_dim = 0,
        &|f| f.model.circuit.read_in.attention.head_dim = 0,
        &|f| f.model.circuit.head.temperature = 0.0,
        &|f| f.model.convnext.stem_patch = 0,
        &|f| f.model.convnext.dims = vec![12, 0],
        &|f| f.output = OutputSpec::classes(0),
    ];
    for change in changes {
        let file = with(change);
        let error = refused(&file, &whole).to_string();
        assert!(!error.is_empty());
        // Nor can weights be drawn for them.
        assert!(CoreEngine::random(file, 1, one()).is_err());
    }
}
