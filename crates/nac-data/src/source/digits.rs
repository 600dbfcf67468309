//! The UCI optical digits: 1,797 real 8×8 images of handwritten digits, part of this crate.
//!
//! Alpaydin & Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository
//! (1998), <https://doi.org/10.24432/C50P49>; source and licence in `assets/README.md`.
//!
//! A row of the file holds 64 values 0–16 (ink in blocks of 4×4 of a 32×32 scan) and the digit.
//! Values become bytes 0–255 as `round(255·v/16)`. The split is ours: 360 test examples, the
//! digits in proportion, chosen by a fixed seed that no setting changes; the other 1,437 train.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::images::Images;
use super::{Entry, Origin};
use crate::random::Stream;
use crate::{
    DataError, DatasetInfo, InputKind, InputSpec, Normalization, OutputSpec, Preprocessing, Splits,
    split,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "digits",
    title: "UCI optical digits: 1,797 images 8x8, 10 classes",
    licence: "CC BY 4.0 (UCI), distributed with scikit-learn under BSD",
    origin: Origin::Bundled,
    counts: None,
    describe: |_| Ok(load()?.train.info().clone()),
    open: |_| load(),
};

const FILE: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const FILE_NAME: &str = "assets/digits.csv.gz";
/// Test examples of the fixed split.
pub const TEST_EXAMPLES: usize = 360;
const SPLIT_SEED: u64 = 0;

/// The bundled data: 1,437 training and 360 test images as `u8 [1, 8, 8]`.
///
/// # Errors
/// [`DataError::CorruptLine`] if the bundled file is damaged.
pub fn load() -> Result<Splits, DataError> {
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text)?;
    let (pixels, labels) = parse(&text, Path::new(FILE_NAME))?;

    let mut groups = vec![Vec::new(); 10];
    labels
        .iter()
        .enumerate()
        .for_each(|(index, &label)| groups[usize::from(label)].push(index));
    let mut stream = Stream::new(SPLIT_SEED, "digits split", &[]);
    let in_test = split::choose(&groups, labels.len(), TEST_EXAMPLES, &mut stream);

    let part = |test: bool| -> (Vec<u8>, Vec<u8>) {
        let chosen: Vec<usize> = (0..labels.len()).filter(|&i| in_test[i] == test).collect();
        let images = chosen
            .iter()
            .flat_map(|&i| &pixels[i * 64..][..64])
            .copied();
        (
            images.collect(),
            chosen.iter().map(|&i| labels[i]).collect(),
        )
    };
    let (train, test) = (part(false), part(true));
    let info = info(&train.0);
    let images = |(pixels, labels)| Images::new(info.clone(), [1, 8, 8], pixels, labels);
    Ok(Splits {
        train: Arc::new(images(train)?),
        validation: None,
        test: Arc::new(images(test)?),
    })
}

/// Name and form; mean and deviation are those of the training pixels.
fn info(train_pixels: &[u8]) -> DatasetInfo {
    let count = train_pixels.len().max(1) as f64;
    let scaled = || train_pixels.iter().map(|&p| f64::from(p) / 255.0);
    let mean = scaled().sum::<f64>() / count;
    let variance = scaled().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    let kind = InputKind::Image {
        channels: 1,
        height: 8,
        width: 8,
        normalization: Some(Normalization {
            mean: vec![mean as f32],
            std: vec![variance.sqrt() as f32],
        }),
    };
    DatasetInfo {
        name: "digits".into(),
        inputs: InputSpec::new("image", kind),
        output: OutputSpec::named((0..10).map(|digit: u8| digit.to_string())),
        preprocessing: [("image".into(), Preprocessing::image())].into(),
    }
}

/// Reads rows of 64 values 0–16 and a label 0–9.
fn parse(text: &str, path: &Path) -> Result<(Vec<u8>, Vec<u8>), DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let corrupt = |reason| DataError::CorruptLine {
            path: path.into(),
            line: number as u64 + 1,
            reason,
        };
        let row = line
            .split(',')
            .map(|field| field.trim().parse::<u16>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| corrupt(format!("not a number: {e}")))?;
        let Ok([values @ .., label]) = <&[u16; 65]>::try_from(row.as_slice()) else {
            return Err(corrupt(format!("{} fields, expected 65", row.len())));
        };
        if let Some(value) = values.iter().find(|&&v| v > 16) {
            return Err(corrupt(format!("value {value}, expected 0 to 16")));
        }
        if *label > 9 {
            return Err(corrupt(format!("label {label}, expected 0 to 9")));
        }
        pixels.extend(values.iter().map(|v| ((v * 255 + 8) / 16) as u8));
        labels.push(*label as u8);
    }
    Ok((pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;

    #[test]
    fn the_split_is_fixed_and_in_proportion() {
        let splits = load().unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (1437, 360));
        let mut counts = [0; 10];
        (0..360).for_each(|i| counts[splits.test.class(i).unwrap()] += 1);
        assert!(counts.iter().all(|c| (34..=37).contains(c)), "{counts:?}");
        let again = load().unwrap();
        assert!((0..360).all(|i| splits.test.get(i).unwrap() == again.test.get(i).unwrap()));
    }

    #[test]
    fn pixels_are_scaled_to_bytes() {
        let splits = load().unwrap();
        let (mut low, mut high) = (u8::MAX, 0);
        for index in 0..splits.train.len() {
            let example = splits.train.get(index).unwrap();
            let image = example.input("image").unwrap();
            assert_eq!(image.shape(), &[1, 8, 8]);
            let Values::U8(pixels) = image.values() else {
                panic!("not bytes")
            };
            low = low.min(*pixels.iter().min().unwrap());
            high = high.max(*pixels.iter().max().unwrap());
        }
        assert_eq!((low, high), (0, 255));
        let Some(InputKind::Image {
            normalization: Some(Normalization { mean, std }),
            ..
        }) = splits.train.info().inputs.get("image")
        else {
            panic!("not a normalized image");
        };
        // 4.884 and 6.017 of 16 over all 1,797 images.
        assert!(
            (mean[0] - 0.305).abs() < 0.01 && (std[0] - 0.376).abs() < 0.01,
            "{mean:?} {std:?}"
        );
    }

    #[test]
    fn damaged_rows_are_named() {
        let path = Path::new("d.csv");
        let row = |label: &str| format!("{}{label}", "3,".repeat(64));
        assert_eq!(parse(&row("7"), path).unwrap(), (vec![48; 64], vec![7]));
        let error = |text: String| parse(&text, path).unwrap_err().to_string();
        let text = error(format!("{}\n{}", row("1"), row("12")));
        assert!(text.contains("d.csv: line 2: label 12"), "{text}");
        assert!(error(row("1,1")).contains("66 fields"));
        assert!(error(format!("17,{}", &row("1")[2..])).contains("value 17"));
        assert!(error(row("x")).contains("not a number"));
    }
}
