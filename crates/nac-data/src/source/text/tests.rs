//! Texts in folders and tables.

use std::path::Path;

use fs_err as fs;

use crate::{DataConfig, DataDirs, Dataset, DatasetInfo, Preprocessing, Splits, TextLevel, Values};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn config(name: &str, path: &Path) -> DataConfig {
    DataConfig {
        name: name.into(),
        path: Some(path.into()),
        ..DataConfig::default()
    }
}

fn dirs() -> DataDirs {
    DataDirs::new(None, None, "cache".into())
}

fn open(config: &DataConfig) -> Result<Splits, String> {
    crate::open(config, &dirs(), 3).map_err(|error| error.to_string())
}

fn describe(config: &DataConfig) -> DatasetInfo {
    crate::describe(config, &dirs()).unwrap()
}

/// Each example as text and class, sorted.
fn contents(dataset: &dyn Dataset) -> Vec<(String, usize)> {
    let example = |index| {
        let example = dataset.get(index).unwrap();
        assert_eq!(example.target.class(), dataset.class(index));
        let Values::I64(ids) = example.input("tokens").unwrap().values() else {
            panic!("no symbols")
        };
        let bytes = ids
            .iter()
            .map(|&id| u8::try_from(id - 1).unwrap())
            .collect();
        (
            String::from_utf8(bytes).unwrap(),
            dataset.class(index).unwrap(),
        )
    };
    let mut all: Vec<_> = (0..dataset.len()).map(example).collect();
    all.sort();
    all
}

#[test]
fn folders_are_classes() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("train/b/1.txt", "bee"),
            ("train/b/2.TXT", "\u{feff}bar"),
            ("train/a/1.txt", "ant"),
            ("train/a/readme.md", "none"),
            ("test/a/9.txt", "axe"),
        ],
    );
    let config = config("text-folder", dir.path());
    let splits = open(&config).unwrap();
    let expected = [("ant", 0), ("bar", 1), ("bee", 1)].map(|(t, c)| (t.to_owned(), c));
    assert_eq!(contents(splits.train.as_ref()), expected);
    assert_eq!(contents(splits.test.as_ref()), [("axe".to_owned(), 0)]);
    assert!(splits.validation.is_none());
    assert_eq!(splits.train.info(), &describe(&config));
    assert_eq!(describe(&config).output.class_name(1), "b");
}

#[test]
fn words_are_learnt_from_training_texts_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("train/a/1.txt", "The cat the dog"),
            ("train/b/1.txt", "a cat"),
            ("test/a/1.txt", "bird the bird cat"),
        ],
    );
    let mut config = config("text-folder", dir.path());
    config.text.level = TextLevel::Words;
    let splits = open(&config).unwrap();
    let info = describe(&config);
    assert_eq!(splits.train.info(), &info);
    let words = vec!["cat".to_owned(), "the".to_owned()];
    assert_eq!(info.preprocessing["tokens"], Preprocessing::Words { words });
    let example = splits.test.get(0).unwrap();
    let tokens = example.input("tokens").unwrap();
    assert_eq!(*tokens.values(), Values::I64(vec![1, 3, 1, 2]));

    fs::write(dir.path().join("train/a/1.txt"), b"ab\xffc").unwrap();
    let error = open(&config).unwrap_err();
    assert!(
        error.contains("a/1.txt: at byte 2") && error.contains("UTF-8"),
        "{error}"
    );
}

#[test]
fn an_empty_file_is_named_and_left_out_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..10)
        .map(|i| format!("{}/{i}.txt", ["a", "b"][i % 2]))
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|name| (name.as_str(), "text")).collect();
    write(dir.path(), &files);
    fs::write(dir.path().join("a/4.txt"), "").unwrap();
    let mut config = config("text-folder", dir.path());
    let error = open(&config).unwrap_err();
    assert!(
        error.contains("a/4.txt") && error.contains("empty"),
        "{error}"
    );
    config.skip_unreadable = true;
    let splits = open(&config).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (8, 1));
}

#[test]
fn three_formats_of_a_table_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<(String, &str)> = (0..20)
        .map(|i| (format!("text {i}, \"q\""), ["no", "yes"][i % 2]))
        .collect();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |separator: &str| {
        let rows = rows
            .iter()
            .map(|(text, class)| format!("{class}{separator}{}\n", quoted(text)));
        format!("\u{feff}label{separator}text\n{}", rows.collect::<String>())
    };
    let json = |(text, class): &(String, &str)| {
        format!(
            "{}\n",
            serde_json::json!({"text": text, "label": class, "more": [1]})
        )
    };
    write(
        dir.path(),
        &[
            ("a.csv", &line(",")),
            ("b.tsv", &line("\t")),
            ("c.jsonl", &rows.iter().map(json).collect::<String>()),
            ("d/train.csv", &line(",")),
            ("d/val.jsonl", "{\"text\": \"v\", \"label\": \"yes\"}"),
            ("d/test.tsv", "text\tlabel\nt\tno\n"),
        ],
    );
    let opened = ["a.csv", "b.tsv", "c.jsonl"].map(|name| {
        let splits = open(&config("text-csv", &dir.path().join(name))).unwrap();
        (
            contents(splits.train.as_ref()),
            contents(splits.test.as_ref()),
        )
    });
    assert_eq!(opened[0], opened[1]);
    assert_eq!(opened[0], opened[2]);
    assert_eq!((opened[0].0.len(), opened[0].1.len()), (16, 4));
    assert!(
        opened[0].0.contains(&("text 1, \"q\"".to_owned(), 1))
            || opened[0].1.contains(&("text 1, \"q\"".to_owned(), 1))
    );

    let splits = open(&config("text-csv", &dir.path().join("d"))).unwrap();
    assert_eq!(splits.train.len(), 20);
    assert_eq!(
        contents(splits.validation.unwrap().as_ref()),
        [("v".to_owned(), 1)]
    );
    assert_eq!(contents(splits.test.as_ref()), [("t".to_owned(), 0)]);
}

#[test]
fn bad_tables_are_named_with_the_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, parts) in [
        ("text,label\na,x\nb\n", &["line 3"][..]),
        ("text,label\na,x\n,y\n", &["line 3", "empty"]),
        ("text,label\na,x\nb,\n", &["line 3", "`label` is empty"]),
        ("txt,label\na,x\n", &["line 1", "no column `text`"]),
        ("text,label\na,x\nb,x\n", &["1 different values"]),
        ("text,label\n", &["has no text"]),
        ("", &["line 1"]),
    ] {
        let path = dir.path().join("t.csv");
        fs::write(&path, text).unwrap();
        let error = open(&config("text-csv", &path)).unwrap_err();
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{text:?}: {error}"
        );
    }
    let path = dir.path().join("t.csv");
    fs::write(&path, b"text,label\na,x\nb\xff,y\nc,z\nd,x\ne,z\nf,x\n").unwrap();
    let mut config = config("text-csv", &path);
    assert!(open(&config).unwrap_err().contains("UTF-8"));
    config.skip_unreadable = true;
    let splits = open(&config).unwrap();
    assert_eq!(splits.train.len() + splits.test.len(), 5);
    config.text.max_len = 0;
    assert!(open(&config).unwrap_err().contains("data.text.max_len"));
}
