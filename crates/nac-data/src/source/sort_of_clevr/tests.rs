//! Sort-of-CLEVR: answers, balance, determinism.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::preprocess::read_text;
use crate::{DataConfig, DataDirs};

fn open_with(change: impl FnOnce(&mut SortOfClevrConfig), seed: u64) -> Result<Splits, DataError> {
    let mut config = DataConfig {
        name: ENTRY.name.into(),
        ..DataConfig::default()
    };
    change(&mut config.sort_of_clevr);
    crate::open(&config, &DataDirs::new(None, None, "cache".into()), seed)
}

fn pixels(example: &Example) -> &[u8] {
    match example.input(IMAGE).unwrap().values() {
        Values::U8(pixels) => pixels,
        _ => &[],
    }
}

fn symbols(example: &Example) -> &[i64] {
    match example.input(QUESTION).unwrap().values() {
        Values::I64(symbols) => symbols,
        _ => &[],
    }
}

#[test]
fn parts_differ_and_the_run_s_seed_changes_nothing() {
    let splits = open_with(|_| (), 0).unwrap();
    let validation = splits.validation.clone().unwrap();
    let sizes = (splits.train.len(), validation.len(), splits.test.len());
    assert_eq!(sizes, (120_000, 1_200, 3_600));
    let first = splits.train.get(5).unwrap();
    assert_eq!(first, open_with(|_| (), 9).unwrap().train.get(5).unwrap());
    let other = |example: Example| pixels(&example) != pixels(&first);
    assert!(other(splits.test.get(5).unwrap()) && other(validation.get(5).unwrap()));
    assert!(other(splits.train.get(12).unwrap()) && !other(splits.train.get(11).unwrap()));
    let seeded = open_with(|config| config.seed = 1, 0).unwrap();
    assert!(other(seeded.train.get(5).unwrap()));
    assert!(splits.test.get(3_600).is_err());
    assert!(splits.test.class(3_600).is_none() && splits.test.group(3_600).is_none());
    let carved = open_with(|config| config.validation = 0, 0).unwrap();
    assert!(carved.validation.is_none());
    let error = open_with(|config| config.test = 0, 0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("data.sort_of_clevr.test"), "{error}");
}

#[test]
fn a_carved_part_shares_no_image_with_the_rest() {
    let splits = open_with(|config| (config.train, config.validation) = (1_200, 0), 0);
    let (train, carved) = splits.unwrap().train_and_validation(100, 0).unwrap();
    // Nine images.
    assert_eq!((train.len(), carved.len()), (1_092, 108));
    let images = |part: &dyn Dataset| -> BTreeSet<Vec<u8>> {
        (0..part.len())
            .map(|index| pixels(&part.get(index).unwrap()).to_vec())
            .collect()
    };
    let (train_images, carved_images) = (images(train.as_ref()), images(carved.as_ref()));
    assert_eq!((train_images.len(), carved_images.len()), (91, 9));
    assert!(train_images.is_disjoint(&carved_images));
    assert_eq!(carved.group(0), Some("non-relational: shape"));
}

/// What the images are worth: the best constant answer, and the best answer for each kind of question.
#[test]
fn answers_are_as_balanced_as_documented() {
    let test = open_with(|_| (), 0).unwrap().test;
    let mut constant = [0usize; 10];
    let mut by_kind = BTreeMap::<String, [usize; 10]>::new();
    for index in 0..test.len() {
        let (class, kind) = (test.class(index).unwrap(), test.group(index).unwrap());
        constant[class] += 1;
        by_kind.entry(kind.into()).or_default()[class] += 1;
    }
    let share = |right: usize, all: usize| right as f64 / all as f64;
    let constant = share(*constant.iter().max().unwrap(), test.len());
    let best = |start: &str| {
        let kinds = || by_kind.iter().filter(|(kind, _)| kind.starts_with(start));
        let right: usize = kinds()
            .map(|(_, counts)| counts.iter().max().unwrap())
            .sum();
        share(
            right,
            kinds()
                .map(|(_, counts)| counts.iter().sum::<usize>())
                .sum(),
        )
    };
    let [all, single, relational] = ["", "non-relational", "relational"].map(best);
    assert_eq!(by_kind.len(), 6);
    assert!((0.24..0.265).contains(&constant), "{constant}");
    assert!((0.465..0.49).contains(&all), "{all}");
    assert!((0.5..0.53).contains(&single), "{single}");
    assert!((0.43..0.46).contains(&relational), "{relational}");
}

/// Centre and form of each colour, from the pixels alone: a disc leaves the corners of its bounding box white.
fn look(pixels: &[u8]) -> Vec<(f64, f64, bool)> {
    let colour = |x: usize, y: usize| [0, 1, 2].map(|c| pixels[(c * SIZE + y) * SIZE + x]);
    let places = |rgb| {
        let all = (0..SIZE * SIZE).map(|i| (i % SIZE, i / SIZE));
        all.filter(move |&(x, y)| colour(x, y) == rgb)
    };
    let object = |rgb| {
        let xs: Vec<usize> = places(rgb).map(|(x, _)| x).collect();
        let ys: Vec<usize> = places(rgb).map(|(_, y)| y).collect();
        let mean = |v: &[usize]| v.iter().sum::<usize>() as f64 / v.len() as f64;
        let corner = (*xs.iter().min().unwrap(), *ys.iter().min().unwrap());
        (mean(&xs), mean(&ys), colour(corner.0, corner.1) != rgb)
    };
    scene::RGB.into_iter().map(object).collect()
}

#[test]
fn answers_are_those_that_the_image_shows() {
    let splits = open_with(|config| config.question = QuestionForm::Bytes, 0).unwrap();
    for index in 0..240 {
        let example = splits.train.get(index).unwrap();
        let text: Vec<u8> = symbols(&example).iter().map(|&s| (s - 1) as u8).collect();
        let text = String::from_utf8(text).unwrap();
        let seen = look(pixels(&example));
        let mentioned = |name: &&&str| text.contains(&format!(" {name} "));
        let name = scene::COLOURS.iter().find(mentioned).unwrap();
        let me = scene::COLOURS.iter().position(|n| n == name).unwrap();
        let (x, y, disc) = seen[me];
        let form = |disc: bool| if disc { "circle" } else { "rectangle" };
        let answer = |truth: bool| if truth { "yes" } else { "no" };
        let mut others: Vec<(f64, bool)> = (0..6)
            .filter(|&other| other != me)
            .map(|other| ((seen[other].0 - x).hypot(seen[other].1 - y), seen[other].2))
            .collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted = if text.contains("left") {
            answer(x < 37.0).to_string()
        } else if text.contains("top") {
            answer(y < 37.0).to_string()
        } else if text.contains("closest") {
            form(others[0].1).to_string()
        } else if text.contains("furthest") {
            form(others[4].1).to_string()
        } else if text.contains("how many") {
            seen.iter().filter(|o| o.2 == disc).count().to_string()
        } else {
            form(disc).to_string()
        };
        let class = example.target.class().unwrap();
        assert_eq!(ANSWERS[class], wanted, "{index}: {text}");
        assert_eq!(splits.train.class(index), Some(class));
    }
}

#[test]
fn questions_are_words_or_bytes_and_fit_their_input() {
    for form in [QuestionForm::Words, QuestionForm::Bytes] {
        let train = open_with(|config| config.question = form, 0).unwrap().train;
        let kind = train.info().inputs.get(QUESTION).unwrap().clone();
        let how = &train.info().preprocessing[QUESTION];
        let mut longest = 0;
        for index in 0..500 {
            let example = train.get(index).unwrap();
            let found = symbols(&example);
            longest = longest.max(found.len());
            assert!(kind.fits(&[1, found.len()]) && found.iter().all(|&s| s > 0));
            assert!(form == QuestionForm::Bytes || found.iter().all(|&s| s > 1));
        }
        let InputKind::Tokens { max_len, .. } = kind else {
            panic!("no symbols")
        };
        assert!(longest == max_len, "{longest} {max_len}");
        // A question that a user types is read in the same way.
        let asked = read_text("Is the red object on the left?", QUESTION, &kind, how).unwrap();
        let all: Vec<Vec<i64>> = (0..500)
            .map(|index| symbols(&train.get(index).unwrap()).to_vec())
            .collect();
        let Values::I64(asked) = asked.values() else {
            panic!("no symbols")
        };
        let lower = form == QuestionForm::Words;
        assert_eq!(all.contains(asked), lower);
    }
}

#[test]
fn the_normalization_is_that_of_the_images() {
    let train = open_with(|_| (), 0).unwrap().train;
    let (mut sums, count) = ([[0.0; 2]; 3], 500 * SIZE * SIZE);
    for image in 0..500 {
        let example = train.get(image * PER_IMAGE).unwrap();
        for (plane, sum) in pixels(&example).chunks(SIZE * SIZE).zip(&mut sums) {
            for &pixel in plane {
                let x = f64::from(pixel) / 255.0;
                sum[0] += x / count as f64;
                sum[1] += x * x / count as f64;
            }
        }
    }
    for (channel, [mean, square]) in sums.into_iter().enumerate() {
        let std = (square - mean * mean).sqrt();
        assert!((mean - f64::from(MEAN[channel])).abs() < 2e-3, "{mean}");
        assert!((std - f64::from(STD[channel])).abs() < 2e-3, "{std}");
    }
}
