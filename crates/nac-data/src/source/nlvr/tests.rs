//! NLVR: what is read, and what does not leak.

use fs_err as fs;

use super::*;
use crate::{DataConfig, Dataset, Values};

/// Twelve directories of four statements with six drawings each; `suffix` is the second number of the identifier of a
/// statement with a label.
fn write(root: &Path, part: &str, suffix: impl Fn(usize, bool) -> usize) {
    let mut lines = String::new();
    for number in 0..48 {
        let (directory, is_true) = (number / 4, number % 3 == 0);
        let m = suffix(number, is_true);
        let folder = root.join(format!("{part}/images/{directory}"));
        fs::create_dir_all(&folder).unwrap();
        for k in 0..6 {
            let image = image::RgbImage::from_pixel(8, 2, image::Rgb([number as u8, k, 7]));
            image
                .save(folder.join(format!("{part}-{}-{m}-{k}.png", number / 2)))
                .unwrap();
        }
        lines += &format!(
            r##"{{"sentence": "There is {number}", "label": "{is_true}", "identifier": "{}-{m}", "directory": "{directory}", "structured_rep": [[{{"x_loc": {number}, "y_loc": 2, "size": 10, "type": "circle", "color": "#0099ff"}}], [], []]}}"##,
            number / 2
        );
        lines.push('\n');
    }
    fs::write(root.join(format!("{part}/{part}.json")), lines).unwrap();
}

fn config(root: &Path) -> DataConfig {
    let mut config = DataConfig {
        name: ENTRY.name.into(),
        path: Some(root.into()),
        ..DataConfig::default()
    };
    config.image.size = Some([2, 8]);
    config
}

fn opened(config: &DataConfig) -> Result<Splits, DataError> {
    crate::open(config, &DataDirs::new(None, None, "cache".into()), 0)
}

fn all(part: &dyn Dataset) -> Vec<crate::Example> {
    (0..part.len()).map(|i| part.get(i).unwrap()).collect()
}

#[test]
fn parts_have_whole_directories_and_all_drawings() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(dir.path(), part, |number, _| number % 2);
    }
    let splits = opened(&config(dir.path())).unwrap();
    let validation = splits.validation.clone().unwrap();
    // 48 statements: a tenth is 5, which is two directories of four.
    assert_eq!(
        (splits.train.len(), validation.len(), splits.test.len()),
        (240, 48, 288)
    );
    let info = splits.train.info();
    assert_eq!(
        info.inputs.names().collect::<Vec<_>>(),
        ["image", "sentence"]
    );
    // The red channel is the number of the statement, of which four share a directory.
    let directories = |part: &dyn Dataset| -> HashSet<u8> {
        let red = |example: crate::Example| match example.input("image").unwrap().values() {
            Values::U8(pixels) => pixels[0] / 4,
            _ => panic!("no bytes"),
        };
        all(part).into_iter().map(red).collect()
    };
    let (train, held) = (
        directories(splits.train.as_ref()),
        directories(validation.as_ref()),
    );
    assert_eq!((train.len(), held.len()), (10, 2));
    assert!(train.is_disjoint(&held));

    // Two statements of a presentation with their drawings are a unit, which a carved part keeps whole.
    let (rest, carved) = crate::split::held_out(splits.train.clone(), 20, 3).unwrap();
    assert_eq!((rest.len(), carved.len()), (216, 24));
    let units = |part: &dyn Dataset| -> HashSet<u64> {
        (0..part.len()).map(|i| part.unit(i).unwrap()).collect()
    };
    assert!(units(&rest).is_disjoint(&units(&carved)));
}

#[test]
fn neither_identifiers_nor_the_order_of_files_reach_a_model() {
    let honest = tempfile::tempdir().unwrap();
    let telling = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(honest.path(), part, |number, _| number % 2);
        // As published: the suffix says which statements are true.
        write(telling.path(), part, |number, is_true| {
            number % 2 + 2 * usize::from(!is_true)
        });
    }
    for input in [NlvrInput::Image, NlvrInput::Objects] {
        let [a, b] = [&honest, &telling].map(|dir| {
            let mut config = config(dir.path());
            config.nlvr.input = input;
            opened(&config).unwrap()
        });
        for (a, b) in [
            (&a.train, &b.train),
            (&a.test, &b.test),
            (
                a.validation.as_ref().unwrap(),
                b.validation.as_ref().unwrap(),
            ),
        ] {
            assert_eq!(all(a.as_ref()), all(b.as_ref()));
        }
    }
}

#[test]
fn objects_and_words_are_inputs_too() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "dev", "test"] {
        write(dir.path(), part, |number, _| number % 2);
    }
    let mut config = config(dir.path());
    config.nlvr.input = NlvrInput::Objects;
    config.nlvr.train = vec![NlvrPart::Train, NlvrPart::Dev];
    config.text.level = TextLevel::Words;
    config.text.min_count = 3;
    let splits = opened(&config).unwrap();
    // A tenth of 96 statements is ten, which is three directories of four.
    assert_eq!(splits.train.len(), 84);
    let example = splits.train.get(0).unwrap();
    assert_eq!(example.input("objects").unwrap().shape(), [1, OBJECT_DIM]);
    // "is" and "there", equally frequent; the numbers are rare.
    assert_eq!(
        *example.input("sentence").unwrap().values(),
        Values::I64(vec![3, 2, 1])
    );
    let InputKind::Tokens { vocabulary, .. } =
        splits.train.info().inputs.get("sentence").unwrap().clone()
    else {
        panic!("no symbols")
    };
    assert_eq!(vocabulary, 4);
}

#[test]
fn lost_drawings_and_bad_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(dir.path(), part, |number, _| number % 2);
    }
    fs::write(dir.path().join("test/images/3/test-6-1-4.png"), [0; 64]).unwrap();
    let mut config = config(dir.path());
    let error = opened(&config).unwrap_err().to_string();
    assert!(error.contains("test-6-1-4.png"), "{error}");
    config.skip_unreadable = true;
    assert_eq!(opened(&config).unwrap().test.len(), 287);
    config.nlvr.train = vec![NlvrPart::Test];
    let error = opened(&config).unwrap_err().to_string();
    assert!(error.contains("data.nlvr.train"), "{error}");
    config.nlvr.train = Vec::new();
    assert!(opened(&config).is_err());
    let nowhere = DataConfig {
        name: ENTRY.name.into(),
        ..DataConfig::default()
    };
    let error = opened(&nowhere).unwrap_err().to_string();
    assert!(error.contains("lil-lab/nlvr"), "{error}");
}
