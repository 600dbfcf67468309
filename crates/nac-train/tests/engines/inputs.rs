//! Several inputs, feature vectors, points, and bytes that models normalize: both engines agree.

use nac_core::model::{InputKind, InputSpec, ModelFile, ModelKind, Normalization, TokenizerConfig};
use nac_engine::{Engine, Inputs, Precision};
use nac_train::TorchEngine;
use ndarray::{Array2, Array4};
use tch::Device;

use super::both::{ROUNDING, agree, core, distance, weights, with};

fn question(max_len: usize) -> InputKind {
    InputKind::Tokens {
        vocabulary: 11,
        max_len,
        pad: 4,
    }
}

/// An image and symbols, whose tokens differ in width.
fn image_and_symbols(file: &mut ModelFile) {
    file.inputs = InputSpec::image(3, 24, 20).with("question", question(37));
    (file.model.embedding.dim, file.model.embedding.position_dim) = (9, 5);
}

/// A change of the small model, by name.
type Change = (&'static str, Box<dyn Fn(&mut ModelFile)>);

#[test]
fn several_inputs() {
    let changes: [Change; 5] = [
        ("image and symbols", Box::new(image_and_symbols)),
        (
            "the symbols are wider",
            Box::new(|file| {
                image_and_symbols(file);
                file.model.embedding.dim = 50;
            }),
        ),
        (
            "of one width",
            Box::new(|file| {
                image_and_symbols(file);
                (file.model.embedding.dim, file.model.embedding.position_dim) = (20, 6);
            }),
        ),
        (
            "Perceiver IO",
            Box::new(|file| {
                image_and_symbols(file);
                file.model.kind = ModelKind::PerceiverIo;
            }),
        ),
        (
            "four kinds, two images by different tokenizers",
            Box::new(|file| {
                file.inputs = InputSpec::image(3, 24, 20)
                    .with("photo", InputKind::image(2, 5, 7))
                    .with("answer", question(33))
                    .with(
                        "boxes",
                        InputKind::Features {
                            items: 9,
                            dim: 4,
                            padded: false,
                        },
                    )
                    .with(
                        "cloud",
                        InputKind::Points {
                            points: 35,
                            dims: 3,
                        },
                    );
                let pixels = TokenizerConfig::Pixels {};
                file.model.tokenizers.insert("photo".into(), pixels);
                (file.model.features.dim, file.model.points.dim) = (13, 17);
                file.model.embedding.dim = 12;
            }),
        ),
    ];
    agree(&changes);
}

#[test]
fn features_and_points() {
    let features = |dim, position_dim| {
        move |file: &mut ModelFile| {
            let kind = InputKind::Features {
                items: 37,
                dim: 5,
                padded: false,
            };
            file.inputs = InputSpec::new("boxes", kind);
            (file.model.features.dim, file.model.features.position_dim) = (dim, position_dim);
        }
    };
    let points = |bands| {
        move |file: &mut ModelFile| {
            let kind = InputKind::Points {
                points: 40,
                dims: 3,
            };
            file.inputs = InputSpec::new("cloud", kind);
            (file.model.points.dim, file.model.points.bands) = (19, bands);
        }
    };
    let changes: [Change; 4] = [
        ("features", Box::new(features(11, 6))),
        ("features without order", Box::new(features(16, 0))),
        ("points", Box::new(points(3))),
        ("points without bands", Box::new(points(0))),
    ];
    agree(&changes);
}

#[test]
fn bytes_are_normalized_by_the_model() {
    let normalization = Normalization {
        mean: vec![0.4914, 0.4822, 0.4465],
        std: vec![0.247, 0.2435, 0.2616],
    };
    let bytes = Array4::from_shape_fn((3, 3, 24, 20), |(n, c, y, x)| {
        (31 * n + 57 * c + 7 * y + 11 * x) as u8
    });
    for normalization in [None, Some(normalization)] {
        let by_hand = Array4::from_shape_fn(bytes.raw_dim(), |(n, c, y, x)| {
            let byte = bytes[[n, c, y, x]];
            match &normalization {
                Some(by) => (f32::from(byte) / 255.0 - by.mean[c]) / by.std[c],
                None => f32::from(byte) / 255.0,
            }
        });
        let kind = InputKind::Image {
            channels: 3,
            height: 24,
            width: 20,
            normalization,
        };
        let file = with(|file| file.inputs = InputSpec::new("image", kind));
        let torch = TorchEngine::new(file.clone(), &weights(&file), Device::Cpu).unwrap();
        let engines: [&dyn Engine; 2] = [&core(&file, 2, Precision::F32), &torch];
        let [core, torch] = engines.map(|engine| {
            let logits = engine.infer(&Inputs::image(bytes.view())).unwrap();
            let same = engine.infer(&Inputs::image(by_hand.view())).unwrap();
            assert_eq!(logits, same);
            logits
        });
        assert!(distance(&core, &torch) < ROUNDING);
    }
}

#[test]
fn both_refuse_the_same_inputs_and_name_them() {
    let file = with(image_and_symbols);
    let torch = TorchEngine::new(file.clone(), &weights(&file), Device::Cpu).unwrap();
    let engines: [&dyn Engine; 2] = [&core(&file, 1, Precision::F32), &torch];
    let image = Array4::<u8>::zeros((2, 3, 24, 20));
    let symbols = Array2::<i64>::ones((2, 6));
    let (small, long) = (
        Array4::<u8>::zeros((2, 3, 24, 19)),
        Array2::<i64>::ones((2, 38)),
    );
    let good = || Inputs::image(image.view()).with("question", symbols.view());
    for engine in engines {
        assert_eq!(engine.infer(&good()).unwrap().dim(), (2, 5));
        for (inputs, name) in [
            (Inputs::image(image.view()), "`question`"),
            (good().with("image", small.view()), "`image`"),
            (good().with("question", long.view()), "`question`"),
            (good().with("question", image.view()), "`question`"),
            (good().with("extra", symbols.view()), "`extra`"),
        ] {
            let error = engine.infer(&inputs).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
