//! Files through a model with random weights: answers, mixed inputs, what is refused.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use nac_core::model::{InputKind, InputSpec, ModelFile, OutputSpec, Preprocessing, Preset};
use nac_engine::{CoreEngine, EngineOptions};
use nac_predict::{Answer, Given, PredictError, Predictor};

/// The smallest preset, which reads bytes and tells two classes apart.
fn file() -> ModelFile {
    let mut file = Preset::get("cpu-digits").unwrap().file;
    let kind = InputKind::Tokens {
        vocabulary: 257,
        max_len: 64,
        pad: 0,
    };
    file.inputs = InputSpec::new("tokens", kind);
    file.output = OutputSpec::named(["good", "bad"]);
    file.preprocessing = [("tokens".to_owned(), Preprocessing::Bytes {})].into();
    file
}

fn predictor(file: &ModelFile, threads: usize) -> Predictor {
    let options = EngineOptions {
        threads,
        ..EngineOptions::default()
    };
    let (engine, _) = CoreEngine::random(file.clone(), 3, options).unwrap();
    Predictor::new(file, Box::new(engine)).unwrap()
}

#[test]
fn answers_depend_neither_on_the_batch_nor_on_threads() {
    let texts = ["a", "a much longer text than the other", "so so"];
    let predictor = predictor(&file(), 1);
    let read = |text: &str| {
        let mut buffers = predictor.read("tokens", &Given::Text(text.into())).unwrap();
        vec![("tokens".to_owned(), buffers.remove(0))]
    };
    let all = predictor.predict(texts.map(read).into()).unwrap();
    assert_eq!(all.len(), 3);
    for (text, expected) in texts.iter().zip(&all) {
        let found = predictor.predict(vec![read(text)]).unwrap();
        assert_eq!(found, std::slice::from_ref(expected));
        let Answer::Classes(classes) = expected else {
            panic!("no classes")
        };
        let sum: f32 = classes.iter().map(|class| class.confidence).sum();
        assert!((sum - 1.0).abs() < 1e-6 && classes.len() == 2);
        assert!(classes[0].confidence >= classes[1].confidence);
    }
    assert_ne!(all[0], all[1]);
    let two = self::predictor(&file(), 2);
    assert_eq!(two.predict(texts.map(read).into()).unwrap(), all);
    assert!(predictor.predict(Vec::new()).unwrap().is_empty());
}

#[test]
fn models_without_preprocessing_are_refused_with_what_to_do() {
    let mut file = file();
    let (engine, _) = CoreEngine::random(file.clone(), 0, EngineOptions::default()).unwrap();
    file.preprocessing.clear();
    let error = Predictor::new(&file, Box::new(engine)).unwrap_err();
    assert!(matches!(&error, PredictError::NoPreprocessing { input, .. } if input == "tokens"));
    let text = error.to_string();
    assert!(text.contains("export its run again"), "{text}");
    assert!(text.contains("[preprocessing.tokens]"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let error = Predictor::load(folder.path(), EngineOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("there is no model.toml"),
        "{error}"
    );
    std::fs::write(folder.path().join("model.toml"), file.to_toml().unwrap()).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), "").unwrap();
    let error = Predictor::load(folder.path(), EngineOptions::default()).unwrap_err();
    assert!(
        matches!(error, PredictError::NoPreprocessing { .. }),
        "{error}"
    );
}

#[test]
fn unknown_inputs_and_files_are_named() {
    let predictor = predictor(&file(), 1);
    let given = Given::File(Path::new("no-such.txt").into());
    let error = predictor.read("tokens", &given).unwrap_err().to_string();
    assert!(error.contains("no-such.txt"), "{error}");
    let error = predictor.read("image", &given).unwrap_err().to_string();
    assert!(error.contains("`image`; the model reads tokens"), "{error}");
    assert!(predictor.takes_text("tokens") && !predictor.takes_text("image"));
}
