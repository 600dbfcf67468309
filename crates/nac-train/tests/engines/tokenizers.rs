//! Every tokenizer below every kind of model: one row for each.
//!
//! A row is checked for: equal logits of both engines, padding that changes nothing, tensors by name and shape, numbers of
//! parameters and of operations.

use std::collections::BTreeMap;

use nac_core::model::spec::{Algorithm, Node, ParameterSpec};
use nac_core::model::{
    ImageTokenizer, InputKind, InputSpec, ModelConfig, ModelFile, ModelKind, NgramPooling,
    SequenceTokenizer, TokenizerConfig,
};
use nac_engine::{Engine, InputView, Inputs, Precision, RandomInputs};
use nac_modules::params::{ParamStore, Role};
use nac_modules::presets::BuildModel;
use nac_train::TorchEngine;
use ndarray::{Array2, Axis};
use tch::{Device, Kind};

use super::both::{ROUNDING, core, difference, distance, weights, with};

const KINDS: [ModelKind; 3] = [ModelKind::Nac, ModelKind::PerceiverIo, ModelKind::StemOnly];

/// A tokenizer with settings, for inputs.
struct Row {
    name: &'static str,
    inputs: InputSpec,
    settings: fn(&mut ModelConfig),
    /// Trained scalars of the tokenizer.
    parameters: usize,
    /// Operations of the tokenizer for an example.
    flops: u64,
}

/// The rows. Parameters and operations are counted by hand.
fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "convnext",
            inputs: InputSpec::image(3, 24, 20),
            settings: |_| {},
            // Stem 3·2·2 → 12, norm, block; norm, 12·2·2 → 20, block; grid of 6×5 cells.
            parameters: (144 + 12 + 24 + block(12)) + (24 + 960 + 20 + block(20)) + 6 * 30,
            flops: 2 * (120 * (144 + 49 * 12 + 8 * 12 * 12) + 30 * (960 + 49 * 20 + 8 * 20 * 20)),
        },
        Row {
            name: "pixels",
            inputs: InputSpec::image(3, 7, 9),
            settings: |model| model.image_tokenizer = ImageTokenizer::Pixels,
            parameters: 0,
            flops: 0,
        },
        Row {
            name: "conv-stem",
            inputs: InputSpec::image(3, 23, 20),
            settings: |model| {
                model.image_tokenizer = ImageTokenizer::ConvStem;
                let stem = &mut model.conv_stem;
                (stem.widths, stem.strides) = (vec![10, 9, 12], vec![1, 2, 1]);
                (stem.pools, stem.grid_dim) = (vec![2, 1, 3], 5);
            },
            // Maps of 23×20, 11×10; 6×5; 6×5, 2×1 cells.
            parameters: (27 * 10 + 3 * 10) + (90 * 9 + 3 * 9) + (81 * 12 + 3 * 12) + 5 * 2,
            flops: 2 * (460 * 27 * 10 + 30 * 90 * 9 + 30 * 81 * 12),
        },
        Row {
            name: "conv-stem with whitening",
            inputs: InputSpec::image(3, 9, 10),
            settings: |model| {
                model.image_tokenizer = ImageTokenizer::ConvStem;
                let stem = &mut model.conv_stem;
                (stem.widths, stem.strides) = (vec![10], vec![1]);
                (stem.pools, stem.grid_dim, stem.whitening) = (vec![1], 0, 2);
            },
            // The filters of the whitening are not trained.
            parameters: 24 + 9 * 24 * 10 + 3 * 10,
            flops: 2 * 90 * (12 * 24 + 9 * 24 * 10),
        },
        Row {
            name: "patches of an image, beyond its border",
            inputs: InputSpec::image(3, 23, 20),
            settings: |model| {
                model.image_tokenizer = ImageTokenizer::Patches;
                (model.patches.side, model.patches.dim) = (3, 13);
                model.patches.position_dim = 5;
            },
            parameters: 27 * 13 + 13 + 56 * 5,
            flops: 2 * 56 * 27 * 13,
        },
        Row {
            name: "patches without positions",
            inputs: InputSpec::image(1, 8, 8),
            settings: |model| {
                model.image_tokenizer = ImageTokenizer::Patches;
                (model.patches.dim, model.patches.position_dim) = (13, 0);
            },
            parameters: 16 * 13 + 13,
            flops: 2 * 4 * 16 * 13,
        },
        Row {
            name: "voxels",
            inputs: InputSpec::new("voxels", InputKind::Voxels { size: [11, 9, 7] }),
            settings: |model| {
                (model.voxels.side, model.voxels.dim) = (3, 14);
                model.voxels.position_dim = 4;
            },
            parameters: 27 * 14 + 14 + 36 * 4,
            flops: 2 * 36 * 27 * 14,
        },
        Row {
            name: "embedding",
            inputs: InputSpec::tokens(11, 37, 4),
            settings: |model| (model.embedding.dim, model.embedding.position_dim) = (9, 5),
            parameters: 11 * 9 + 37 * 5,
            flops: 0,
        },
        Row {
            name: "convolutions of a sequence",
            inputs: InputSpec::tokens(11, 67, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::ConvSequence;
                let conv = &mut model.conv_sequence;
                (conv.dim, conv.widths) = (9, vec![14, 14, 11]);
                (conv.kernels, conv.strides) = (vec![5, 3, 4], vec![3, 1, 2]);
                conv.position_dim = 5;
            },
            // 67 symbols give 23, 23 and 12 positions.
            parameters: 11 * 9
                + (5 * 9 * 14 + 3 * 14)
                + (3 * 14 * 14 + 3 * 14)
                + (4 * 14 * 11 + 3 * 11)
                + 12 * 5,
            flops: 2 * (23 * 5 * 9 * 14 + 23 * 3 * 14 * 14 + 12 * 4 * 14 * 11),
        },
        Row {
            name: "one convolution without norm or positions",
            inputs: InputSpec::tokens(11, 75, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::ConvSequence;
                let conv = &mut model.conv_sequence;
                (conv.dim, conv.widths, conv.kernels) = (8, vec![16], vec![2]);
                (conv.strides, conv.norm, conv.position_dim) = (vec![2], false, 0);
            },
            parameters: 11 * 8 + 2 * 8 * 16 + 16,
            flops: 2 * 38 * 2 * 8 * 16,
        },
        Row {
            name: "n-grams",
            inputs: InputSpec::tokens(11, 109, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::Ngrams;
                let ngrams = &mut model.ngrams;
                (ngrams.orders, ngrams.buckets) = (vec![1, 2, 5], 37);
                (ngrams.dim, ngrams.window, ngrams.position_dim) = (13, 3, 6);
            },
            parameters: 3 * 37 * 13 + 2 * 13 + 37 * 6,
            flops: 0,
        },
        Row {
            name: "sums of n-grams longer than a window",
            inputs: InputSpec::tokens(11, 37, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::Ngrams;
                let ngrams = &mut model.ngrams;
                (ngrams.orders, ngrams.buckets, ngrams.dim) = (vec![3], 64, 16);
                (ngrams.window, ngrams.position_dim) = (2, 0);
                (ngrams.pooling, ngrams.norm) = (NgramPooling::Sum, false);
            },
            parameters: 64 * 16,
            flops: 0,
        },
        Row {
            name: "recurrences",
            inputs: InputSpec::tokens(11, 37, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::Recurrent;
                let recurrent = &mut model.recurrent;
                (recurrent.dim, recurrent.states) = (11, 20);
                recurrent.position_dim = 5;
            },
            parameters: 11 * 11 + 2 * recurrence(11, 20) + 2 * 11 + 37 * 5,
            flops: 2 * 37 * 2 * (3 * 11 * 20 + 6 * 20),
        },
        Row {
            name: "recurrences averaged over windows",
            inputs: InputSpec::tokens(11, 70, 4),
            settings: |model| {
                model.sequence_tokenizer = SequenceTokenizer::Recurrent;
                let recurrent = &mut model.recurrent;
                (recurrent.dim, recurrent.states, recurrent.layers) = (16, 8, 1);
                (recurrent.window, recurrent.position_dim) = (4, 0);
            },
            parameters: 11 * 16 + recurrence(16, 8) + 2 * 16,
            flops: 2 * 70 * (3 * 16 * 8 + 6 * 8),
        },
        Row {
            name: "feature vectors",
            inputs: features(false),
            settings: |model| (model.features.dim, model.features.position_dim) = (11, 6),
            parameters: 5 * 11 + 11 + 37 * 6,
            flops: 2 * 37 * 5 * 11,
        },
        Row {
            name: "padded feature vectors",
            inputs: features(true),
            settings: |model| (model.features.dim, model.features.position_dim) = (11, 6),
            parameters: 5 * 11 + 11 + 37 * 6,
            flops: 2 * 37 * 5 * 11,
        },
        Row {
            name: "points",
            inputs: InputSpec::new(
                "cloud",
                InputKind::Points {
                    points: 40,
                    dims: 3,
                },
            ),
            settings: |model| (model.points.dim, model.points.bands) = (19, 3),
            parameters: 21 * 19 + 19,
            flops: 2 * 40 * 21 * 19,
        },
        Row {
            name: "a pair of images and padded words, one tokenizer for both images",
            inputs: InputSpec::new("left", InputKind::image(3, 8, 8))
                .with("right", InputKind::image(3, 8, 8))
                .with("sentence", tokens()),
            settings: |model| {
                model.image_tokenizer = ImageTokenizer::Patches;
                (model.patches.dim, model.patches.position_dim) = (7, 3);
                (model.embedding.dim, model.embedding.position_dim) = (9, 5);
                let shared = TokenizerConfig::Shared {
                    with: "left".into(),
                };
                model.tokenizers.insert("right".into(), shared);
            },
            // Patches, symbols; a projection to 14 for each image; three vectors of 14.
            parameters: (48 * 7 + 7 + 4 * 3) + (11 * 9 + 37 * 5) + 2 * (10 * 14 + 14) + 3 * 14,
            flops: 2 * 2 * 4 * (48 * 7 + 10 * 14),
        },
    ]
}

/// Parameters of a ConvNeXt block.
const fn block(channels: usize) -> usize {
    let wide = 4 * channels;
    (49 + 1) * channels
        + 2 * channels
        + (channels * wide + wide)
        + (wide * channels + channels)
        + channels
}

/// Parameters of a recurrence.
const fn recurrence(dim: usize, states: usize) -> usize {
    2 * dim + dim * states + (dim * states + states) + (states * dim + dim) + 6 * states
}

fn features(padded: bool) -> InputSpec {
    let kind = InputKind::Features {
        items: 37,
        dim: 5,
        padded,
    };
    InputSpec::new("objects", kind)
}

fn tokens() -> InputKind {
    InputKind::Tokens {
        vocabulary: 11,
        max_len: 37,
        pad: 4,
    }
}

/// The small model of a kind with a row's inputs and tokenizer.
fn file(row: &Row, kind: ModelKind) -> ModelFile {
    with(|file| {
        file.inputs = row.inputs.clone();
        file.model.kind = kind;
        (row.settings)(&mut file.model);
    })
}

fn for_all(check: impl Fn(&str, &Row, &ModelFile)) {
    for row in rows() {
        for kind in KINDS {
            check(&format!("{}, {kind}", row.name), &row, &file(&row, kind));
        }
    }
}

#[test]
fn both_engines_agree() {
    for_all(|name, _, file| {
        let error = difference(file, Precision::F32, 3);
        assert!(error < ROUNDING, "{name}: {error}");
    });
}

#[test]
fn threads_change_no_bit_and_buffers_are_used_again() {
    for_all(|name, _, file| {
        let batch = RandomInputs::new(&file.inputs, 5, 3);
        let one = core(file, 1, Precision::F32).infer(&batch.all()).unwrap();
        let engine = core(file, 3, Precision::F32);
        for _ in 0..2 {
            assert_eq!(engine.infer(&batch.all()).unwrap(), one, "{name}");
        }
    });
}

/// One example of a batch, its inputs cut where its padding begins.
fn unpadded<'a>(inputs: &Inputs<'a>, spec: &InputSpec, example: usize) -> Inputs<'a> {
    inputs.iter().fold(Inputs::new(), |all, (name, view)| {
        let padded = match (spec.get(name).unwrap(), view) {
            (InputKind::Tokens { pad, .. }, InputView::I64(view)) => {
                let symbols = view.index_axis(Axis(0), example);
                Some(symbols.iter().filter(|symbol| *symbol != pad).count())
            }
            (InputKind::Features { padded: true, .. }, InputView::F32(view)) => {
                let items = view.index_axis(Axis(0), example);
                let real = items.outer_iter().filter(|x| !x.iter().any(|x| x.is_nan()));
                Some(real.count())
            }
            _ => None,
        };
        macro_rules! cut {
            ($view:expr) => {{
                let mut view = $view.clone();
                view.slice_axis_inplace(Axis(0), (example..example + 1).into());
                if let Some(length) = padded {
                    assert!(length > 0);
                    view.slice_axis_inplace(Axis(1), (..length).into());
                }
                all.with(name, view)
            }};
        }
        match view {
            InputView::U8(view) => cut!(view),
            InputView::F32(view) => cut!(view),
            InputView::I64(view) => cut!(view),
        }
    })
}

#[test]
fn padding_changes_nothing() {
    let mut shorter = 0;
    for row in rows() {
        for kind in KINDS {
            let file = file(&row, kind);
            let batch = RandomInputs::new(&file.inputs, 4, 3);
            let torch = TorchEngine::new(file.clone(), &weights(&file), Device::Cpu).unwrap();
            let engines: [&dyn Engine; 2] = [&core(&file, 2, Precision::F32), &torch];
            for engine in engines {
                let together: Array2<f32> = engine.infer(&batch.all()).unwrap();
                for example in 0..4 {
                    let inputs = unpadded(&batch.all(), &file.inputs, example);
                    let length = |inputs: &Inputs<'_>| {
                        let lengths = inputs.iter().map(|(_, view)| view.shape()[1]);
                        lengths.sum::<usize>()
                    };
                    shorter += usize::from(length(&inputs) < length(&batch.all()));
                    let alone = engine.infer(&inputs).unwrap();
                    let rows = together.slice_axis(Axis(0), (example..example + 1).into());
                    let error = distance(&alone, &rows.to_owned());
                    assert!(error < 2e-6, "{}, {kind}, {example}: {error}", row.name);
                }
            }
        }
    }
    // Three rows, three kinds, two engines, all examples but perhaps the last.
    assert!(shorter >= 3 * 3 * 2 * 3, "{shorter}");
}

#[test]
fn the_spec_knows_every_tensor() {
    for_all(|name, _, file| {
        let model = file.build(ParamStore::sizes_only(Device::Cpu, Kind::Float));
        let model = model.unwrap();
        let built = model.params().iter().map(|(name, entry)| {
            let trained = entry.role == Role::Parameter;
            (name.to_owned(), (entry.tensor.size(), trained))
        });
        let built: BTreeMap<_, _> = built.collect();
        let spec = file.resolve().unwrap();
        let described = spec.parameters().into_iter().map(|p: ParameterSpec| {
            assert!(p.shared_with.is_none(), "{name}: {}", p.name);
            let shape: Vec<i64> = p.shape.iter().map(|&size| size as i64).collect();
            (p.name, (shape, p.trained))
        });
        assert_eq!(described.collect::<BTreeMap<_, _>>(), built, "{name}");
        assert_eq!(spec.parameter_count(), model.params().parameter_count());
    });
}

#[test]
fn parameters_and_operations_are_those_counted_by_hand() {
    for_all(|name, row, file| {
        let spec = file.resolve().unwrap();
        assert_eq!(spec.inputs.parameter_count(), row.parameters, "{name}");
        for algorithm in [Algorithm::Reference, Algorithm::Folded] {
            let operations = spec.operations(algorithm);
            let mut stages = operations.stages.iter();
            let stage = stages.find(|stage| stage.name == "tokenizer").unwrap();
            assert_eq!(stage.per_example.flops, row.flops, "{name}");
        }
    });
}

/// Bytes are what voxels come as; a byte of 1 is the number 1.
#[test]
fn voxels_are_bytes_or_floats() {
    let rows = rows();
    let row = rows.iter().find(|row| row.name == "voxels").unwrap();
    let file = file(row, ModelKind::StemOnly);
    let batch = RandomInputs::new(&file.inputs, 2, 3);
    let Some(InputView::F32(floats)) = batch.all().get("voxels").cloned() else {
        panic!("floats")
    };
    let bytes = floats.mapv(|x| x as u8);
    assert!(bytes.iter().any(|x| *x == 1));
    let torch = TorchEngine::new(file.clone(), &weights(&file), Device::Cpu).unwrap();
    let engines: [&dyn Engine; 2] = [&core(&file, 2, Precision::F32), &torch];
    for engine in engines {
        let from_bytes = Inputs::new().with("voxels", bytes.view());
        let from_floats = Inputs::new().with("voxels", floats.clone());
        let found = [from_bytes, from_floats].map(|inputs| engine.infer(&inputs).unwrap());
        assert_eq!(found[0], found[1]);
    }
}
