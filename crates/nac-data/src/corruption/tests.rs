//! Tests of the corruptions; values by numpy, scipy and PIL (`tests/fixtures/corruptions/make.py`).

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::Values;
use crate::testing::InMemory;
use crate::{Dataset, Loader, LoaderOptions};

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn corruptions_without_chance_agree_with_reference_values() {
    let text = include_str!("../../tests/fixtures/corruptions/values.json");
    let values: Value = serde_json::from_str(text).unwrap();
    let size = |name: &str| values[name].as_u64().unwrap() as usize;
    let shape = [3, size("height"), size("width")];
    let source = bytes(&values["source"]);
    let cases = values["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    let mut wrong = Vec::new();
    for case in cases {
        let number = |at: usize| case["arguments"][at].as_f64().unwrap();
        let name = case["name"].as_str().unwrap();
        // Greatest and mean difference: rounding; of JPEG also coefficients near halves, which libjpeg's integers round
        // to the other side.
        let (found, most, mean) = match name {
            "defocus" => (blur::defocus(shape, &source, number(0), number(1)), 1, 0.02),
            "brightness" => (digital::brightness(shape, &source, number(0)), 1, 0.2),
            "contrast" => (digital::contrast(shape, &source, number(0)), 1, 0.1),
            "pixelate" => (
                digital::pixelate(shape, &source, number(0)).unwrap(),
                1,
                0.15,
            ),
            "jpeg" => (jpeg::compress(shape, &source, number(0) as u8), 12, 0.6),
            other => panic!("no corruption `{other}`"),
        };
        let wanted = bytes(&case["pixels"]);
        assert_eq!(found.len(), wanted.len());
        let differences: Vec<u8> = found
            .iter()
            .zip(&wanted)
            .map(|(a, b)| a.abs_diff(*b))
            .collect();
        let greatest = differences.iter().copied().max().unwrap();
        let average = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / found.len() as f64;
        if greatest > most || average > mean {
            wrong.push(format!(
                "{name} {}: greatest {greatest}, mean {average:.3}",
                case["arguments"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn noise_has_the_published_size() {
    let grey = vec![128_u8; 30_000];
    let shape = [3, 100, 100];
    let mut stream = Stream::new(0, "noise", &[]);
    let mut moments = |kind: Corruption, severity: u8| {
        let found = kind.apply(shape, &grey, severity, &mut stream).unwrap();
        let mean = found.iter().map(|&x| f64::from(x)).sum::<f64>() / 30_000.0;
        let variance = found
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / 30_000.0;
        (mean, variance.sqrt() / 255.0)
    };
    let (mean, std) = moments(Corruption::GaussianNoise, 1);
    assert!(
        (mean - 127.5).abs() < 0.7 && (std - 0.08).abs() < 0.002,
        "{mean} {std}"
    );
    let (mean, std) = moments(Corruption::ShotNoise, 1);
    let wanted = (128.0 / 255.0 / 60.0_f64).sqrt();
    assert!(
        (mean - 127.5).abs() < 1.0 && (std - wanted).abs() < 0.002,
        "{mean} {std}"
    );
    let found = Corruption::ImpulseNoise
        .apply(shape, &grey, 5, &mut stream)
        .unwrap();
    let count = |value: u8| found.iter().filter(|&&x| x == value).count() as f64 / 30_000.0;
    assert!((count(0) - 0.135).abs() < 0.01 && (count(255) - 0.135).abs() < 0.01);
    assert_eq!(count(0) + count(255) + count(128), 1.0);
}

#[test]
fn motion_blur_spreads_a_dot_along_its_direction() {
    let shape = [1, 31, 31];
    let mut dot = vec![0; 31 * 31];
    dot[15 * 31 + 15] = 255;
    let found = blur::motion(shape, &dot, 6, 2.0, 0.0);
    let row: Vec<u8> = found[15 * 31..][..31].to_vec();
    // A pixel takes from the right, so the dot leaves its trace to the left; weights are half a bell.
    let sum: f64 = (0..13).map(|i| (-f64::from(i * i) / 8.0).exp()).sum();
    for (offset, value) in (0..5).map(|i| (i, row[15 - i])) {
        let wanted = 255.0 * (-((offset * offset) as f64) / 8.0).exp() / sum;
        assert_eq!(value, wanted.round() as u8, "offset {offset}");
    }
    assert_eq!(row[16], 0);
    let lit = |found: &[u8]| {
        found
            .iter()
            .enumerate()
            .filter(|(_, x)| **x > 5)
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert!(lit(&found).iter().all(|at| at / 31 == 15));
    let diagonal = blur::motion(shape, &dot, 6, 2.0, 45.0);
    assert!(lit(&diagonal).iter().all(|at| at / 31 == at % 31));
    // A flat image has nothing to spread, at the border either.
    let flat = vec![77; 31 * 31];
    assert_eq!(blur::motion(shape, &flat, 20, 15.0, -30.0), flat);
    assert_eq!(blur::defocus(shape, &flat, 6.0, 0.5), flat);
}

#[test]
fn every_corruption_worsens_with_its_severity_at_every_size() {
    for side in [8, 32, 64, 96] {
        let images = InMemory::images(4, 3, side, side, 4);
        for kind in Corruption::ALL {
            let mut last = 0.0;
            for severity in [1, 5] {
                let mut distance = 0.0;
                for index in 0..4 {
                    let example = images.get(index).unwrap();
                    let Values::U8(pixels) = example.inputs[0].1.values() else {
                        panic!("type")
                    };
                    let mut stream = Stream::new(0, "test", &[index as u64]);
                    let shape = [3, side, side];
                    let found = kind.apply(shape, pixels, severity, &mut stream).unwrap();
                    let differences = found
                        .iter()
                        .zip(pixels)
                        .map(|(a, b)| f64::from(a.abs_diff(*b)));
                    distance += differences.sum::<f64>();
                }
                assert!(
                    distance > last,
                    "{kind:?} {severity} at {side}: {distance} after {last}"
                );
                last = distance;
            }
        }
    }
}

#[test]
fn images_depend_on_seed_kind_severity_and_index_alone() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(6, 1, 8, 8, 2));
    let config = CorruptionConfig::parse("shot_noise:3").unwrap();
    let corrupted = Corrupted::new(images.clone(), config).unwrap();
    assert_eq!(corrupted.info().name, "in-memory images + shot_noise 3");
    assert_eq!((corrupted.len(), corrupted.class(3)), (6, Some(1)));
    let first = corrupted.get(2).unwrap();
    assert_eq!(first, corrupted.get(2).unwrap());
    assert_ne!(first, images.get(2).unwrap());
    assert_eq!(first.target, images.get(2).unwrap().target);
    for other in [
        CorruptionConfig { seed: 1, ..config },
        CorruptionConfig {
            severity: 4,
            ..config
        },
        CorruptionConfig {
            kind: Corruption::GaussianNoise,
            ..config
        },
    ] {
        let other = Corrupted::new(images.clone(), other).unwrap();
        assert_ne!(first, other.get(2).unwrap());
    }
    let loader = Loader::new(Arc::new(corrupted), LoaderOptions::default()).unwrap();
    assert_eq!(loader.epoch(0, 0).next().unwrap().unwrap().len(), 6);
}

#[test]
fn wrong_settings_are_named() {
    for text in ["fog:1", "jpeg", "jpeg:0", "jpeg:6", "jpeg:x", ""] {
        let error = CorruptionConfig::parse(text).unwrap_err().to_string();
        assert!(error.contains("jpeg"), "{text}: {error}");
    }
    let tokens = Arc::new(InMemory::tokens(3, 5, 4, 2));
    let config = CorruptionConfig::parse("jpeg:1").unwrap();
    let Err(error) = Corrupted::new(tokens, config) else {
        panic!("accepted")
    };
    assert!(error.to_string().contains("needs an image"));
    let mut stream = Stream::new(0, "test", &[]);
    assert!(
        Corruption::Jpeg
            .apply([3, 2, 2], &[0; 11], 1, &mut stream)
            .is_err()
    );
    assert!(
        Corruption::Jpeg
            .apply([0, 2, 2], &[], 1, &mut stream)
            .is_err()
    );
    for kind in Corruption::ALL {
        // The smallest image there is.
        assert_eq!(
            kind.apply([3, 1, 1], &[1, 2, 3], 5, &mut stream)
                .unwrap()
                .len(),
            3
        );
        let name = serde_json::to_string(&kind).unwrap();
        assert_eq!(name.trim_matches('"'), kind.name());
    }
}
