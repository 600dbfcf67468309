//! NLVR2: what is read and refused.

use std::path::Path;

use fs_err as fs;

use super::*;
use crate::{DataConfig, Dataset, Values};

/// Ten sets of two pairs with two sentences each; the red channel of a photograph is its set, the green one its side.
fn write(root: &Path, part: &str) {
    let folder = root.join("images").join(part);
    fs::create_dir_all(&folder).unwrap();
    let mut lines = String::new();
    for number in 0..40u8 {
        let (set, pair, sentence) = (number / 4, number / 2 % 2, number % 2);
        let label = ["True", "False"][usize::from(number % 3 > 0)];
        lines += &format!(
            r#"{{"sentence": "There are {number} dogs", "label": "{label}", "identifier": "{part}-{set}-{pair}-{sentence}"}}"#
        );
        lines.push('\n');
        for side in 0..2 {
            let image = image::RgbImage::from_pixel(4, 4, image::Rgb([set, side, 9]));
            let file = folder.join(format!("{part}-{set}-{pair}-img{side}.png"));
            image.save(file).unwrap();
        }
    }
    fs::write(root.join(format!("{part}.json")), lines).unwrap();
}

/// A safetensors file with features `[1, 2]`, set and side, of all photographs of dev and test1.
fn write_features(path: &Path) {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for part in ["dev", "test1"] {
        for number in 0..40u8 {
            let (set, pair, side) = (number / 4, number / 2 % 2, number % 2);
            let begin = data.len();
            for value in [set, side] {
                data.extend(f32::from(value).to_le_bytes());
            }
            header.push(format!(
                r#""{part}-{set}-{pair}-img{side}": {{"dtype": "F32", "shape": [1, 2], "data_offsets": [{begin}, {}]}}"#,
                data.len()
            ));
        }
    }
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

fn config(root: &Path) -> DataConfig {
    let mut config = DataConfig {
        name: ENTRY.name.into(),
        path: Some(root.into()),
        ..DataConfig::default()
    };
    config.image.size = Some([4, 4]);
    config
}

fn opened(config: &DataConfig) -> Result<Splits, DataError> {
    crate::open(config, &DataDirs::new(None, None, "cache".into()), 0)
}

/// Set and side of the two photographs of every example.
fn seen(part: &dyn Dataset) -> Vec<[[f32; 2]; 2]> {
    let photograph =
        |example: &crate::Example, name: &str| match example.input(name).unwrap().values() {
            Values::U8(pixels) => [f32::from(pixels[0]), f32::from(pixels[16])],
            Values::F32(values) => [values[0], values[1]],
            Values::I64(_) => panic!("symbols"),
        };
    let example = |index| {
        let example = part.get(index).unwrap();
        ["left", "right"].map(|side| photograph(&example, side))
    };
    (0..part.len()).map(example).collect()
}

#[test]
fn pairs_come_from_files_and_from_features() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "dev", "test1"] {
        write(dir.path(), part);
    }
    let splits = opened(&config(dir.path())).unwrap();
    let validation = splits.validation.clone().unwrap();
    assert_eq!(
        (splits.train.len(), validation.len(), splits.test.len()),
        (40, 40, 40)
    );
    let info = splits.train.info();
    assert_eq!(
        info.inputs.names().collect::<Vec<_>>(),
        ["left", "right", "sentence"]
    );
    for [left, right] in seen(splits.train.as_ref()) {
        assert_eq!((left[0], left[1], right[1]), (right[0], 0.0, 1.0));
    }

    let mut config = config(dir.path());
    let file = dir.path().join("f.safetensors");
    write_features(&file);
    config.nlvr2.features = Some(file);
    config.nlvr2.train = vec![Nlvr2Part::Dev];
    config.text.level = TextLevel::Words;
    let splits = opened(&config).unwrap();
    let validation = splits.validation.clone().unwrap();
    assert_eq!((splits.train.len(), validation.len()), (36, 4));
    let sets = |part: &dyn Dataset| -> BTreeSet<u32> {
        seen(part).iter().map(|[left, _]| left[0] as u32).collect()
    };
    let (train, held) = (sets(splits.train.as_ref()), sets(validation.as_ref()));
    assert_eq!((train.len(), held.len()), (9, 1));
    assert!(train.is_disjoint(&held));
    let example = splits.train.get(0).unwrap();
    // Equally frequent words in the order of the alphabet: are, dogs, there. Numbers are rare.
    assert_eq!(
        *example.input("sentence").unwrap().values(),
        Values::I64(vec![4, 2, 1, 3])
    );
    // Training photographs have no features.
    config.nlvr2.train = vec![Nlvr2Part::Train];
    let error = opened(&config).unwrap_err().to_string();
    assert!(error.contains("no tensor `train-0-0-img0`"), "{error}");
}

#[test]
fn lost_photographs_and_bad_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "dev", "test1"] {
        write(dir.path(), part);
    }
    fs::write(dir.path().join("images/test1/test1-3-1-img1.png"), [0; 40]).unwrap();
    let mut config = config(dir.path());
    let error = opened(&config).unwrap_err().to_string();
    assert!(error.contains("test1-3-1-img1.png"), "{error}");
    config.skip_unreadable = true;
    assert_eq!(opened(&config).unwrap().test.len(), 38);
    for (train, test) in [
        (vec![], Nlvr2Part::Test1),
        (vec![Nlvr2Part::Test1], Nlvr2Part::Test1),
        (vec![Nlvr2Part::Train, Nlvr2Part::Train], Nlvr2Part::Test1),
        (vec![Nlvr2Part::Train], Nlvr2Part::Dev),
    ] {
        (config.nlvr2.train, config.nlvr2.test) = (train, test);
        let error = opened(&config).unwrap_err().to_string();
        assert!(error.contains("data.nlvr2.t"), "{error}");
    }
    let nowhere = DataConfig {
        name: ENTRY.name.into(),
        ..DataConfig::default()
    };
    let error = opened(&nowhere).unwrap_err().to_string();
    assert!(error.contains("nlvr2/README.md"), "{error}");
}
