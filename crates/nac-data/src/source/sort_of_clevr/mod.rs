//! Sort-of-CLEVR: images of six coloured shapes and questions about them, generated without end.
//!
//! After Santoro et al., *A simple neural network module for relational reasoning* (2017), §4.2 and their supplement;
//! drawn and asked by this crate, so numbers are comparable with theirs only roughly. An image is 75×75 pixels, white,
//! with a square or a disc of each of six colours, none of which overlap. Of each image there are 12 questions: three
//! kinds about one shape (its form, whether it is on the left, whether at the top), three about relations (form of the
//! closest, form of the furthest, how many have the same form, itself included), each about two of the shapes. In the
//! original there are 20 questions, its count leaves the shape itself out, and a form is decided even between equally
//! close shapes; here such images are drawn again.
//!
//! Image `i` and its questions follow from the seed, the part and `i` alone. Answers are ten: yes, no, rectangle,
//! circle, 1 to 6. On the test part the best constant answer is right 26 % of the time, the best answer for each kind
//! of question 48 % (52 % of those about one shape, 44 % of the relational ones).

mod config;
mod question;
mod scene;

use std::sync::Arc;

pub use config::{QuestionForm, SortOfClevrConfig};

use self::question::{ANSWERS, PER_IMAGE, Question};
use self::scene::{SIZE, Scene};
use super::{Entry, Origin, Request};
use crate::random::Stream;
use crate::words::{self, Vocabulary};
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, Normalization,
    OutputSpec, Preprocessing, PreprocessingSpec, Resize, ResizeFilter, SharedDataset, Splits,
    Target, Values,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "sort-of-clevr",
    title: "Sort-of-CLEVR: generated images of six shapes with questions, 10 answers",
    licence: "generated",
    origin: Origin::Generated,
    counts: None,
    describe,
    open,
};

/// Expected channel means of images divided by 255: each shape covers 121 or 97 pixels, equally often.
const MEAN: [f32; 3] = [0.9516, 0.9441, 0.9128];
/// Channel standard deviations of the same.
const STD: [f32; 3] = [0.2030, 0.2082, 0.2733];
/// Names of the inputs.
const IMAGE: &str = "image";
const QUESTION: &str = "question";

/// The words of all questions.
fn vocabulary() -> Vocabulary {
    let texts: Vec<String> = Question::all().map(Question::text).collect();
    let mut all: Vec<String> = texts.iter().flat_map(|text| words::split(text)).collect();
    all.sort_unstable();
    all.dedup();
    Vocabulary::new(all)
}

/// The input of questions and how a text becomes it.
fn question_input(form: QuestionForm) -> (InputKind, Preprocessing) {
    let longest = |length: fn(&str) -> usize| {
        let lengths = Question::all().map(|question| length(&question.text()));
        lengths.max().unwrap_or(1)
    };
    match form {
        QuestionForm::Words => {
            let vocabulary = vocabulary();
            let max_len = longest(|text| words::split(text).count());
            (vocabulary.input(max_len), vocabulary.preprocessing())
        }
        QuestionForm::Bytes => {
            let kind = InputKind::Tokens {
                vocabulary: 257,
                max_len: longest(str::len),
                pad: 0,
            };
            (kind, Preprocessing::Bytes {})
        }
    }
}

fn describe(request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    let config = &request.config.sort_of_clevr;
    config.check()?;
    let image = InputKind::Image {
        channels: 3,
        height: SIZE,
        width: SIZE,
        normalization: Some(Normalization {
            mean: MEAN.to_vec(),
            std: STD.to_vec(),
        }),
    };
    let (kind, how) = question_input(config.question);
    let from_file = Preprocessing::Image {
        resize: Resize::default(),
        filter: ResizeFilter::default(),
    };
    Ok(DatasetInfo {
        name: ENTRY.name.into(),
        inputs: InputSpec::new(IMAGE, image).with(QUESTION, kind),
        output: OutputSpec::named(ANSWERS),
        preprocessing: PreprocessingSpec::from([(IMAGE.into(), from_file), (QUESTION.into(), how)]),
    })
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let info = describe(request)?;
    let config = &request.config.sort_of_clevr;
    let words = (config.question == QuestionForm::Words).then(vocabulary);
    let part = |part: &'static str, len: usize| -> SharedDataset {
        Arc::new(Questions {
            info: info.clone(),
            words: words.clone(),
            part,
            len,
            seed: config.seed,
        })
    };
    let validation = part("sort-of-clevr validation", config.validation);
    Ok(Splits {
        train: part("sort-of-clevr train", config.train),
        validation: Some(validation).filter(|part| !part.is_empty()),
        test: part("sort-of-clevr test", config.test),
    })
}

/// Questions of one part, with their images, made when they are asked for.
struct Questions {
    info: DatasetInfo,
    /// Words with their numbers, or nothing if questions are bytes.
    words: Option<Vocabulary>,
    part: &'static str,
    len: usize,
    seed: u64,
}

impl Questions {
    fn make(&self, index: usize) -> (Scene, Question) {
        let image = (index / PER_IMAGE) as u64;
        let mut stream = Stream::new(self.seed, self.part, &[image]);
        let scene = scene::draw(&mut stream);
        (scene, Question::draw(index, &mut stream))
    }
}

impl Dataset for Questions {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let (scene, question) = self.make(index);
        let text = question.text();
        let ids = match &self.words {
            Some(words) => words.encode(&text, usize::MAX),
            None => text.bytes().map(|byte| i64::from(byte) + 1).collect(),
        };
        let pixels = Values::U8(scene::image(&scene));
        let image = Buffer::new(vec![3, SIZE, SIZE], pixels)?;
        Ok(Example {
            inputs: vec![
                (IMAGE.into(), image),
                (QUESTION.into(), Buffer::tokens(ids)),
            ],
            target: Target::Class(question.answer(&scene)),
        })
    }

    fn class(&self, index: usize) -> Option<usize> {
        (index < self.len).then(|| {
            let (scene, question) = self.make(index);
            question.answer(&scene)
        })
    }

    fn group(&self, index: usize) -> Option<&str> {
        (index < self.len).then(|| {
            let kinds = question::Kind::ALL;
            kinds[index % kinds.len()].name()
        })
    }

    fn unit(&self, index: usize) -> Option<u64> {
        (index < self.len).then_some((index / PER_IMAGE) as u64)
    }
}

#[cfg(test)]
mod tests;
