//! Circuits that a text changes.

use std::ops::Range;

use nac_core::model::{
    GeneratorKind, InputKind, ModelFile, ReadInKind, ReadInSends, SequenceTokenizer, StateMean,
};
use nac_engine::{Engine, InputView, Precision, RandomInputs};
use ndarray::Axis;

use super::both::{ROUNDING, core, difference, with};

/// A change of the model, with its name.
type Change<'a> = (&'a str, &'a dyn Fn(&mut ModelFile));

/// The small model with a question.
fn conditional(change: impl FnOnce(&mut ModelFile)) -> ModelFile {
    with(|file| {
        let question = InputKind::Tokens {
            vocabulary: 13,
            max_len: 37,
            pad: 0,
        };
        file.inputs = file.inputs.clone().with("question", question);
        let model = &mut file.model;
        (model.embedding.dim, model.embedding.position_dim) = (10, 3);
        (model.recurrent.dim, model.recurrent.states) = (6, 4);
        model.conv_sequence.dim = 7;
        model.ngrams.buckets = 40;
        let generator = &mut model.generator;
        generator.kind = GeneratorKind::Conditional;
        (generator.dim, generator.heads, generator.head_dim) = (14, 3, 5);
        change(file);
    })
}

#[test]
fn every_setting_agrees() {
    let changes: [Change<'_>; 14] = [
        ("default", &|_| ()),
        ("codes only", &|f| f.model.generator.signatures = false),
        ("signatures only", &|f| f.model.generator.codes = false),
        ("processors read", &|f| {
            f.model.circuit.wiring.separate_read_in_modules = false
        }),
        ("read-in modules are attended to", &|f| {
            f.model.circuit.wiring.read_in_states_become_processors = false;
            f.model.circuit.read_in_modules = Some(33);
            f.model.circuit.wiring.read_in_sends_to_processors = ReadInSends::Every;
            f.model.circuit.wiring.read_in_sends_to_read_out = true;
        }),
        ("one propagator", &|f| {
            f.model.circuit.wiring.share_propagators = true
        }),
        ("codes of each propagator", &|f| {
            f.model.circuit.wiring.codes_per_propagator = true
        }),
        ("projected states", &|f| {
            f.model.circuit.seeder.mean = StateMean::Projection
        }),
        ("learned states", &|f| {
            f.model.circuit.seeder.mean = StateMean::Learned
        }),
        ("projection read-in", &|f| {
            f.model.circuit.read_in.kind = ReadInKind::Projection;
            let (height, width) = (8, 5);
            f.inputs = f
                .inputs
                .clone()
                .with("image", InputKind::image(3, height, width));
            f.model.image_tokenizer = nac_core::model::ImageTokenizer::Pixels;
            f.model.circuit.modules = height * width;
        }),
        ("conv-sequence", &|f| {
            f.model.sequence_tokenizer = SequenceTokenizer::ConvSequence
        }),
        ("ngrams", &|f| {
            f.model.sequence_tokenizer = SequenceTokenizer::Ngrams
        }),
        ("recurrent", &|f| {
            f.model.sequence_tokenizer = SequenceTokenizer::Recurrent
        }),
        ("cut links", &|f| {
            let kernel = &mut f.model.circuit.propagator.attention.kernel;
            kernel.truncation = Some(0.9);
        }),
    ];
    for (name, change) in changes {
        let error = difference(&conditional(change), Precision::F32, 3);
        assert!(error < ROUNDING, "{name}: {error}");
    }
}

#[test]
fn controls_agree() {
    let free = conditional(|f| {
        f.model.generator.kind = GeneratorKind::Free;
        f.model.unused_inputs = vec!["question".into()];
    });
    let joined = conditional(|f| f.model.generator.kind = GeneratorKind::Free);
    for file in [free, joined] {
        assert!(difference(&file, Precision::F32, 3) < ROUNDING);
    }
}

#[test]
fn lower_precisions_stay_near() {
    for precision in [Precision::Bf16, Precision::Int8] {
        let error = difference(&conditional(|_| ()), precision, 3);
        assert!(error < 0.06, "{precision:?}: {error}");
    }
}

/// Equal texts, other examples, threads, and the order of calls change no bit.
#[test]
fn an_example_is_what_it_is_alone() {
    let file = conditional(|_| ());
    let random = RandomInputs::new(&file.inputs, 4, 3);
    let Some(InputView::I64(questions)) = random.all().get("question").cloned() else {
        unreachable!("questions are symbols")
    };
    let questions = questions.select(Axis(0), &[1, 0, 1, 3]);
    let inputs = |examples: Range<usize>| {
        let questions = questions.slice_axis(Axis(0), examples.clone().into());
        random.examples(examples).with("question", questions)
    };
    let expected = core(&file, 1, Precision::F32).infer(&inputs(0..4)).unwrap();
    assert_ne!(expected.row(0), expected.row(2), "their images differ");
    let engine = core(&file, 2, Precision::F32);
    for example in [2, 0, 1, 3] {
        let alone = engine.infer(&inputs(example..example + 1)).unwrap();
        assert_eq!(alone.row(0), expected.row(example));
    }
    for _ in 0..2 {
        assert_eq!(engine.infer(&inputs(0..4)).unwrap(), expected);
    }
}
